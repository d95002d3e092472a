//! What an overload came to, and the promises that it holds to: as one JSON object for machines, as a table for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// How long a refusal may take, for 99 of 100: a caller who is refused can go elsewhere long before its call would have timed
/// out after 3 s, however busy the machine is.
const REFUSED_WITHIN: Duration = Duration::from_millis(250);

/// How much the processes may grow, all together: spans, which the server keeps up to about 20 MiB, and buffers of connections.
/// A queue of the orders that are refused in a minute would be several times that.
const GROWTH_BYTES: u64 = 128 << 20;

/// How long it may take until the throughput is back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Debug)]
pub(super) struct Observed {
    /// Transfers a second.
    pub(super) sustainable: f64,
    pub(super) offered: u64,
    /// In what time that was offered.
    pub(super) took: Duration,
    pub(super) accepted: u64,
    pub(super) unknown: u64,
    pub(super) completed: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) refusal_us: Histogram<u64>,
    pub(super) otherwise: u64,
    /// Bytes of all processes, before it began.
    pub(super) rss_before: Option<u64>,
    /// The most that each of them has held, added up.
    pub(super) rss_peak: Option<u64>,
    pub(super) recovered: Option<Duration>,
    /// What else is wrong, in words: with the books, with single orders.
    pub(super) wrong: Vec<String>,
}

/// The report. Renaming a key is a breaking change.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Transfers a second that the same callers made before, one after the other.
    pub sustainable_per_s: f64,
    /// Transfers a second that were ordered.
    pub offered_per_s: f64,
    /// For how long.
    pub seconds: f64,
    /// Transfers that were ordered.
    pub offered: u64,
    /// Of these, those that the service took.
    pub accepted: u64,
    /// Of these, those whose caller was told that it is unknown what became of them.
    pub unknown: u64,
    /// Of those that were taken, the ones that were made and notified.
    pub completed: u64,
    /// Those that it refused for now, with a code; they certainly did not happen.
    pub refused: u64,
    /// The same by code.
    pub refused_by_code: BTreeMap<String, u64>,
    /// Those that were neither taken nor refused with a code.
    pub failed_otherwise: u64,
    /// How long a refusal took.
    pub refusal_ms: RefusalTimes,
    /// Memory of all processes before; null where the system does not say.
    pub rss_before_bytes: Option<u64>,
    /// The most that each process has held, added up.
    pub rss_peak_bytes: Option<u64>,
    /// When the throughput was back, after the last order: at the end of the first half second in which it was. Null: it did not come
    /// back while it was waited for.
    pub recovered_after_ms: Option<u64>,
    /// Whether every promise was kept.
    pub held: bool,
    /// Those that were not, in words.
    #[serde(skip)]
    pub broken: Vec<String>,
}

/// Milliseconds from the call to its refusal; null when nothing was refused.
#[derive(Debug, Serialize)]
pub struct RefusalTimes {
    /// The median.
    pub p50: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
}

impl Report {
    /// Puts what was seen in its place, and holds it against the promises.
    pub(super) fn new(observed: Observed) -> Self {
        let Observed { sustainable, offered, took, accepted, completed, refused, refusal_us, otherwise, .. } = observed;
        let seconds = took.as_secs_f64();
        let quantile = |at| (!refusal_us.is_empty()).then(|| rounded(refusal_us.value_at_quantile(at) as f64 / 1_000.0));
        let mut report = Self {
            sustainable_per_s: rounded(sustainable),
            offered_per_s: rounded(offered as f64 / seconds.max(f64::MIN_POSITIVE)),
            seconds: rounded(seconds),
            offered,
            accepted,
            unknown: observed.unknown,
            completed,
            refused: refused.values().sum(),
            refused_by_code: refused,
            failed_otherwise: otherwise,
            refusal_ms: RefusalTimes { p50: quantile(0.5), p99: quantile(0.99) },
            rss_before_bytes: observed.rss_before,
            rss_peak_bytes: observed.rss_peak,
            recovered_after_ms: observed.recovered.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            held: false,
            broken: Vec::new(),
        };
        report.broken = report.promises().into_iter().flatten().chain(observed.wrong).collect();
        report.held = report.broken.is_empty();
        report
    }

    /// What must be, and is not.
    fn promises(&self) -> [Option<String>; 7] {
        let Self { accepted, completed, offered, refused, failed_otherwise, .. } = self;
        let is = |broken: bool, what: String| broken.then_some(what);
        let ended = accepted + refused + failed_otherwise;
        let growth = self.rss_peak_bytes.unwrap_or(0).saturating_sub(self.rss_before_bytes.unwrap_or(0));
        let p99 = self.refusal_ms.p99;
        let back = self.recovered_after_ms.map(Duration::from_millis);
        [
            is(*refused == 0 || *accepted == 0, format!("{accepted} accepted and {refused} refused are no overload")),
            is(ended != *offered, format!("of {offered} orders {ended} have ended")),
            is(completed != accepted, format!("accepted: {accepted}, of these made and notified: {completed}")),
            is(*failed_otherwise > 0, format!("neither taken nor refused with a code: {failed_otherwise}")),
            is(
                p99.is_some_and(|p99| p99 > REFUSED_WITHIN.as_secs_f64() * 1_000.0),
                format!("refusals took {} ms, more than {REFUSED_WITHIN:?}", or_dash(p99)),
            ),
            is(growth > GROWTH_BYTES, format!("memory grew by {}, more than {}", mebibytes(growth), mebibytes(GROWTH_BYTES))),
            is(
                back.is_none_or(|back| back > BACK_WITHIN),
                format!("full speed after {} ms, later than {BACK_WITHIN:?}", or_dash(self.recovered_after_ms)),
            ),
        ]
    }
}

/// A table for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(out, "{name:<24}{value:>16}");
        row("sustainable", format!("{} /s", self.sustainable_per_s))?;
        row("offered", format!("{} /s", self.offered_per_s))?;
        row("", format!("for {} s", self.seconds))?;
        row("offered", self.offered.to_string())?;
        row("accepted", self.accepted.to_string())?;
        row("  unknown to the caller", self.unknown.to_string())?;
        row("  made and notified", self.completed.to_string())?;
        row("refused", self.refused.to_string())?;
        for (code, count) in &self.refused_by_code {
            row(&format!("  {code}"), count.to_string())?;
        }
        row("failed otherwise", self.failed_otherwise.to_string())?;
        row("refusal, median", format!("{} ms", or_dash(self.refusal_ms.p50)))?;
        row("refusal, 99 of 100", format!("{} ms", or_dash(self.refusal_ms.p99)))?;
        row("memory before", self.rss_before_bytes.map_or_else(|| or_dash::<u64>(None), mebibytes))?;
        row("memory at most", self.rss_peak_bytes.map_or_else(|| or_dash::<u64>(None), mebibytes))?;
        row("full speed after", format!("{} ms", or_dash(self.recovered_after_ms)))?;
        write!(out, "{}", if self.held { "every promise held" } else { "NOT every promise held" })
    }
}

fn or_dash<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Three decimals, which is as fine as it was measured.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed() -> Observed {
        let mut refusal_us = Histogram::new(3).unwrap();
        refusal_us.record_n(900, 990).unwrap();
        refusal_us.record_n(100_000, 10).unwrap();
        Observed {
            sustainable: 400.0,
            offered: 4_000,
            took: Duration::from_secs(1),
            accepted: 3_000,
            unknown: 5,
            completed: 3_000,
            refused: [("FLW0002".to_owned(), 1_000)].into(),
            refusal_us,
            otherwise: 0,
            rss_before: Some(100 << 20),
            rss_peak: Some(120 << 20),
            recovered: Some(Duration::from_millis(550)),
            wrong: Vec::new(),
        }
    }

    #[test]
    fn an_overload_that_harmed_nobody_is_reported_with_its_figures() {
        let report = Report::new(observed());
        assert_eq!(report.broken, Vec::<String>::new());
        let json = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "sustainable_per_s": 400.0, "offered_per_s": 4_000.0, "seconds": 1.0, "offered": 4_000, "accepted": 3_000,
            "unknown": 5, "completed": 3_000, "refused": 1_000, "refused_by_code": {"FLW0002": 1_000}, "failed_otherwise": 0,
            "refusal_ms": {"p50": 0.9, "p99": 0.9}, "rss_before_bytes": 100 << 20, "rss_peak_bytes": 120 << 20,
            "recovered_after_ms": 550, "held": true,
        });
        assert_eq!(json, expected);
        assert!(report.to_string().ends_with(" 550 ms\nevery promise held"), "{report}");
    }

    #[test]
    fn every_promise_that_is_not_kept_is_told() {
        let mut slow = Histogram::new(3).unwrap();
        slow.record_n(260_000, 1_000).unwrap();
        let broken: [(Observed, &str); 9] = [
            (Observed { completed: 2_999, ..observed() }, "accepted: 3000, of these made and notified: 2999"),
            (Observed { otherwise: 1, offered: 4_001, ..observed() }, "neither taken nor refused with a code: 1"),
            (Observed { refused: BTreeMap::new(), offered: 3_000, ..observed() }, "3000 accepted and 0 refused are no overload"),
            (Observed { offered: 4_001, ..observed() }, "of 4001 orders 4000 have ended"),
            (Observed { refusal_us: slow, ..observed() }, "refusals took 260.095 ms, more than 250ms"),
            (Observed { rss_peak: Some(229 << 20), ..observed() }, "memory grew by 129 MiB, more than 128 MiB"),
            (Observed { recovered: Some(Duration::from_millis(2_001)), ..observed() }, "full speed after 2001 ms, later than 2s"),
            (Observed { recovered: None, ..observed() }, "full speed after – ms, later than 2s"),
            (Observed { wrong: vec!["lost: 5 cents".to_owned()], ..observed() }, "lost: 5 cents"),
        ];
        for (observed, expected) in broken {
            let report = Report::new(observed);
            assert_eq!((report.held, report.broken.join("; ").as_str()), (false, expected));
        }
    }
}
