//! What happened in one seed: every observable event folded into one hash, with the counters and violations of the run.
//!
//! Two runs of a seed must end with the same hash. Bytes on the wire are part of it, so a source of randomness that the guard
//! does not reach shows up at once.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How many violations of one seed are kept; the first ones explain the rest.
const MAX_VIOLATIONS: usize = 32;

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which one, as the files of `bank/checks` number them (`I1` to `I16`), or `panic`, `stuck`, `crash`, `replay` of the harness
    /// itself.
    pub invariant: String,
    /// What was expected and what was seen.
    pub detail: String,
}

impl Violation {
    /// The invariant `invariant` did not hold, because of `detail`.
    pub fn new(invariant: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { invariant: invariant.into(), detail: detail.to_string() }
    }
}

/// The record of one seed.
pub(crate) struct History {
    started: Instant,
    traced: bool,
    records: Mutex<Records>,
}

#[derive(Default)]
pub(crate) struct Records {
    pub(crate) hash: Fold,
    pub(crate) events: u64,
    pub(crate) states: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<Violation>,
}

impl History {
    pub(crate) fn new(traced: bool) -> Self {
        Self { started: Instant::now(), traced, records: Mutex::default() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn record(&self, event: &'static str, fields: impl fmt::Display) {
        self.fold(event, |hash| write!(hash, "{fields}").unwrap_or_default());
        if self.traced {
            eprintln!("{:>10.3} {event} {fields}", self.elapsed().as_secs_f64());
        }
    }

    /// Bytes that arrived; kept out of the trace, which is for reading.
    pub(crate) fn record_bytes(&self, event: &'static str, bytes: &[u8]) {
        self.fold(event, |hash| hash.bytes(bytes));
    }

    fn fold(&self, event: &'static str, fields: impl FnOnce(&mut Fold)) {
        let at = self.elapsed().as_micros();
        let mut records = self.records.lock();
        records.events += 1;
        records.hash.bytes(&at.to_le_bytes());
        records.hash.bytes(event.as_bytes());
        fields(&mut records.hash);
    }

    pub(crate) fn reached(&self, state: &'static str) {
        *self.records.lock().states.entry(state).or_default() += 1;
    }

    pub(crate) fn violated(&self, violation: Violation) {
        self.record("violation", format_args!("{} {}", violation.invariant, violation.detail));
        let mut records = self.records.lock();
        if records.violations.len() < MAX_VIOLATIONS {
            records.violations.push(violation);
        }
    }

    pub(crate) fn take(&self) -> Records {
        std::mem::take(&mut *self.records.lock())
    }
}

/// FNV-1a over everything, 64 bits.
#[derive(Clone, Copy)]
pub(crate) struct Fold(u64);

impl Default for Fold {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fold {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

impl Write for Fold {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_hash_tells_order_time_and_content_apart() {
        let hash_of = |events: Vec<(&'static str, u32)>| {
            let history = History::new(false);
            events.iter().for_each(|(event, field)| history.record(event, field));
            history.take().hash.value()
        };
        let expected = hash_of(vec![("ack", 1), ("ack", 2)]);
        assert_eq!(hash_of(vec![("ack", 1), ("ack", 2)]), expected);
        assert_ne!(hash_of(vec![("ack", 2), ("ack", 1)]), expected);
        assert_ne!(hash_of(vec![("ack", 1)]), expected);

        let history = History::new(false);
        history.record("ack", 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        history.record("ack", 2);
        assert_ne!(history.take().hash.value(), expected);
    }
}
