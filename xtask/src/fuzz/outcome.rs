//! What a run of libFuzzer came to: read from what it prints, and written for people or programs.

/// How one target fared.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) target: String,
    /// Whether libFuzzer ended as it was told to.
    pub(super) ended_well: bool,
    /// From the build to the end.
    pub(super) seconds: u64,
    pub(super) statistics: Statistics,
    /// Files of `fuzz/crashes/TARGET` that were not there before.
    pub(super) findings: Vec<String>,
}

/// What libFuzzer counts; `None` until it says so.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Statistics {
    executions: Option<u64>,
    executions_per_second: Option<u64>,
    /// Edges of the program that some input reached.
    coverage: Option<u64>,
    peak_rss_mib: Option<u64>,
}

impl Statistics {
    /// Takes in a line of output; most say nothing to us.
    pub(super) fn read(&mut self, line: &str) {
        let known = [
            ("stat::number_of_executed_units:", &mut self.executions),
            ("stat::average_exec_per_sec:", &mut self.executions_per_second),
            ("stat::peak_rss_mb:", &mut self.peak_rss_mib),
        ];
        for (name, number) in known {
            if let Some(said) = line.strip_prefix(name).and_then(|rest| rest.trim().parse().ok()) {
                *number = Some(said);
            }
        }
        if let Some((_, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(" cov: ")) {
            self.coverage = rest.split_whitespace().next().and_then(|number| number.parse().ok()).or(self.coverage);
        }
    }
}

impl Outcome {
    /// It ran, and found nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.ended_well && self.findings.is_empty()
    }

    fn line(&self) -> String {
        let Self { target, seconds, statistics, .. } = self;
        let executions = or_unknown(statistics.executions, "an unknown number of");
        let coverage = or_unknown(statistics.coverage, "unknown");
        let what = match (self.findings.as_slice(), self.ended_well) {
            ([], true) => "nothing found".to_owned(),
            ([], false) => "it did not end well: see above".to_owned(),
            (findings, _) => format!("FOUND {}; the next `cargo test` replays it", self.paths(findings).join(", ")),
        };
        format!("fuzz {target}: {executions} executions in {seconds} s, {coverage} edges; {what}")
    }

    fn paths(&self, findings: &[String]) -> Vec<String> {
        findings.iter().map(|name| format!("fuzz/crashes/{}/{name}", self.target)).collect()
    }

    /// Names of targets and findings are plain ASCII, which Rust and JSON quote alike.
    fn json(&self) -> String {
        let Self { target, ended_well, seconds, statistics, findings } = self;
        let Statistics { executions, executions_per_second, coverage, peak_rss_mib } = statistics;
        let [executions, rate, coverage, peak] =
            [executions, executions_per_second, coverage, peak_rss_mib].map(|number| or_unknown(*number, "null"));
        format!(
            "{{\"target\":{target:?},\"ended_well\":{ended_well},\"executions\":{executions},\"seconds\":{seconds},\
             \"executions_per_second\":{rate},\"coverage\":{coverage},\"peak_rss_mib\":{peak},\"findings\":{:?}}}",
            self.paths(findings)
        )
    }
}

fn or_unknown(number: Option<u64>, unknown: &str) -> String {
    number.map_or_else(|| unknown.to_owned(), |number| number.to_string())
}

/// A line for each target.
pub(super) fn lines(outcomes: &[Outcome]) -> String {
    outcomes.iter().map(Outcome::line).collect::<Vec<_>>().join("\n")
}

/// One object.
pub(super) fn json(outcomes: &[Outcome]) -> String {
    format!("{{\"fuzz\":[{}]}}", outcomes.iter().map(Outcome::json).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "INFO: seed corpus: files: 12\n\
        #13\tINITED cov: 402 ft: 1203 corp: 12/2Kb exec/s: 0 rss: 61Mb\n\
        #2097152\tpulse  cov: 617 ft: 3902 corp: 214/9Kb lim: 4096 exec/s: 83886 rss: 410Mb\n\
        stat::number_of_executed_units: 2513321\n\
        stat::average_exec_per_sec:     82444\n\
        stat::peak_rss_mb:              411";

    fn outcome(ended_well: bool, findings: &[&str]) -> Outcome {
        let mut statistics = Statistics::default();
        OUTPUT.lines().for_each(|line| statistics.read(line));
        let findings = findings.iter().map(|name| (*name).to_owned()).collect();
        Outcome { target: "csv".into(), ended_well, seconds: 31, statistics, findings }
    }

    #[test]
    fn a_finding_is_never_reported_as_a_clean_run() {
        let table = [
            (outcome(true, &[]), true, "nothing found"),
            (outcome(false, &[]), false, "it did not end well: see above"),
            (outcome(false, &["crash-1"]), false, "FOUND fuzz/crashes/csv/crash-1; the next `cargo test` replays it"),
            (outcome(true, &["slow-unit-2"]), false, "FOUND fuzz/crashes/csv/slow-unit-2; the next `cargo test` replays it"),
        ];
        for (outcome, is_clean, what) in table {
            assert_eq!(outcome.is_clean(), is_clean, "{outcome:?}");
            assert_eq!(outcome.line(), format!("fuzz csv: 2513321 executions in 31 s, 617 edges; {what}"));
        }
    }

    #[test]
    fn programs_get_numbers_and_null_for_what_was_never_said() {
        let found = outcome(false, &["crash-1"]);
        let silent = Outcome { statistics: Statistics::default(), ..outcome(true, &[]) };
        let expected = "{\"fuzz\":[\
            {\"target\":\"csv\",\"ended_well\":false,\"executions\":2513321,\"seconds\":31,\"executions_per_second\":82444,\
            \"coverage\":617,\"peak_rss_mib\":411,\"findings\":[\"fuzz/crashes/csv/crash-1\"]},\
            {\"target\":\"csv\",\"ended_well\":true,\"executions\":null,\"seconds\":31,\"executions_per_second\":null,\
            \"coverage\":null,\"peak_rss_mib\":null,\"findings\":[]}]}";
        assert_eq!(json(&[found, silent]), expected);
    }
}
