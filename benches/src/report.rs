//! What a bench prints: one JSON object for machines, a table for people.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::rounds::Samples;

/// What one bench found out.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    machine: String,
    results: Vec<Figure>,
    #[serde(skip)]
    notes: Vec<String>,
}

/// The figures of a bench, and what has to be known to read them.
#[derive(Debug, Default)]
pub struct Figures {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

/// One figure. `ratio` is value to baseline: the median of the ratios of the rounds, not the ratio of the two medians.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    baseline: Option<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
    #[serde(skip)]
    baseline_is_a_floor: bool,
    #[serde(skip)]
    samples: Samples,
}

/// What is wanted of a figure. In JSON it is its text, such as `ratio >= 0.75`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The value is at least this.
    ValueAtLeast(f64),
    /// The value is at most this.
    ValueAtMost(f64),
}

impl Figures {
    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// Adds a line that is printed below the table.
    #[must_use]
    pub fn note(mut self, line: impl Into<String>) -> Self {
        self.notes.push(line.into());
        self
    }
}

impl Figure {
    /// The median of `samples`.
    #[must_use]
    pub fn new(name: &'static str, unit: &'static str, samples: &Samples) -> Self {
        let value = samples.median();
        let samples = samples.clone();
        Self { name, value, unit, baseline: None, ratio: None, target: None, baseline_is_a_floor: false, samples }
    }

    /// Compares with the same work done otherwise; either may be the faster.
    #[must_use]
    pub fn beside(mut self, baseline: &Samples) -> Self {
        self.baseline = Some(baseline.median());
        self.ratio = Some(self.samples.over(baseline).median());
        self
    }

    /// Compares with the least that the work can cost: to beat it means that it was measured wrongly.
    #[must_use]
    pub fn over_floor(mut self, floor: &Samples) -> Self {
        self.baseline_is_a_floor = true;
        self.beside(floor)
    }

    /// Says what is wanted.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn is_met(&self) -> Option<bool> {
        Some(match self.target? {
            Target::RatioAtLeast(wanted) => self.ratio? >= wanted,
            Target::ValueAtLeast(wanted) => self.value >= wanted,
            Target::ValueAtMost(wanted) => self.value <= wanted,
        })
    }

    fn row(&self) -> [String; 8] {
        let (low, high) = self.samples.spread();
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        [
            self.name.to_owned(),
            number(self.value),
            format!("{}..{}", number(low), number(high)),
            self.unit.to_owned(),
            self.baseline.map(number).unwrap_or_default(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.target.map(|target| target.to_string()).unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

const HEADINGS: [&str; 8] = ["figure", "value", "rounds", "unit", "baseline", "ratio", "target", ""];

impl Report {
    pub(crate) fn new(bench: &'static str, machine: String, found: Figures) -> Self {
        Self { bench, machine, results: found.figures, notes: found.notes }
    }

    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(HEADINGS).add_rows(self.results.iter().map(Figure::row));
        for index in [1, 2, 4, 5] {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let notes = self.notes.iter().map(|note| format!("\n{note}")).collect::<String>();
        format!("bench {} on {}\n{}{notes}", self.bench, self.machine, table.trim_fmt())
    }

    /// Figures that are better than what they cannot beat.
    pub(crate) fn beats_a_floor(&self) -> Vec<String> {
        let beats = |figure: &&Figure| figure.baseline_is_a_floor && figure.ratio.is_some_and(|ratio| ratio > 1.0);
        let told = |figure: &Figure| format!("{} (ratio {:.2})", figure.name, figure.ratio.unwrap_or_default());
        self.results.iter().filter(beats).map(told).collect()
    }
}

/// As many digits as it was measured to: four, or all in front of the point.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(wanted) => write!(out, "ratio >= {wanted}"),
            Self::ValueAtLeast(wanted) => write!(out, "value >= {wanted}"),
            Self::ValueAtMost(wanted) => write!(out, "value <= {wanted}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rounds: &[f64]) -> Samples {
        Samples::of(rounds.to_vec())
    }

    #[test]
    fn the_report_has_the_shape_that_scripts_read() {
        let figure = Figure::new("log.single_append", "appends/s", &samples(&[80.0, 81.0, 79.0]));
        let figure = figure.over_floor(&samples(&[100.0, 100.0, 100.0])).target(Target::RatioAtLeast(0.75));
        let bare = Figure::new("kv.commits", "commits/s", &samples(&[7.0]));
        let report = Report::new("log", "a machine".into(), Figures::default().with(figure).with(bare).note("unseen"));
        let expected = r#"{"bench":"log","machine":"a machine","results":[
            {"name":"log.single_append","value":80.0,"unit":"appends/s","baseline":100.0,"ratio":0.8,"target":"ratio >= 0.75"},
            {"name":"kv.commits","value":7.0,"unit":"commits/s","baseline":null,"ratio":null,"target":null}]}"#;
        assert_eq!(serde_json::to_value(&report).unwrap(), serde_json::from_str::<serde_json::Value>(expected).unwrap());
        assert!(report.beats_a_floor().is_empty());
        assert!(report.table().contains("met"), "{}", report.table());
    }

    #[test]
    fn a_figure_that_beats_its_raw_floor_is_named_and_one_that_beats_a_rival_is_not() {
        let (ours, theirs) = (samples(&[110.0]), samples(&[100.0]));
        let floor = Figure::new("a", "x/s", &ours).over_floor(&theirs);
        let rival = Figure::new("b", "x/s", &ours).beside(&theirs);
        let report = Report::new("c", String::new(), Figures::default().with(floor).with(rival));
        assert_eq!(report.beats_a_floor(), ["a (ratio 1.10)"]);
    }
}
