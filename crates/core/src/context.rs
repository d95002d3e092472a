//! The one context: trace, deadline, caller, criticality and baggage. It is ambient in a task, crosses every edge, and is the
//! only thing that does. A global transaction is *not* part of it: a branch is reached through an explicit transaction value.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Instant;
use crate::trace::TraceContext;

tokio::task_local! {
    static CURRENT: Context;
}

thread_local! {
    /// An empty caller and empty baggage: most contexts have them, and one for each would be two allocations a call.
    static EMPTY: (Arc<str>, Arc<BTreeMap<String, String>>) = ("".into(), Arc::default());
}

/// How much the work matters when there is too much of it; the least critical is shed first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Batch work that nobody waits for.
    Sheddable,
    /// Ordinary work.
    #[default]
    Normal,
    /// Work that users wait for.
    Critical,
    /// settee's own control traffic, which user traffic must not starve.
    Control,
}

/// What a unit of work carries with it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use settee_core::Context;
///
/// let context = Context::root("payment").with_timeout(std::time::Duration::from_secs(3));
/// context.scope(async { assert_eq!(&*Context::current().caller, "payment") }).await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    /// The trace this work belongs to, and the span that started it.
    pub trace: TraceContext,
    /// When the work stops being of use. `None`: nobody said.
    pub deadline: Option<Instant>,
    /// The application that asked for it.
    pub caller: Arc<str>,
    /// How much it matters.
    pub criticality: Criticality,
    /// What users attached; at most [`Context::BAGGAGE_LIMIT`] bytes cross an edge.
    pub baggage: Arc<BTreeMap<String, String>>,
}

impl Context {
    /// Bytes of keys and values of baggage that cross an edge; what is over it is left behind. SOFATracer's limit.
    pub const BAGGAGE_LIMIT: usize = 1_024;

    /// A context with a trace of its own and no deadline.
    #[must_use]
    pub fn root(caller: &str) -> Self {
        Self::of_trace(TraceContext::root(), caller)
    }

    /// A context of settee's own control traffic: in nobody's trace and under nobody's deadline, whoever made it needed.
    #[must_use]
    pub fn control(caller: &str, timeout: Duration) -> Self {
        Self { criticality: Criticality::Control, ..Self::root(caller) }.with_timeout(timeout)
    }

    /// A context of a trace that somebody else began, with no deadline.
    #[must_use]
    pub fn of_trace(trace: TraceContext, caller: &str) -> Self {
        let (nobody, baggage) = EMPTY.with(Clone::clone);
        let caller = if caller.is_empty() { nobody } else { caller.into() };
        Self { trace, deadline: None, caller, criticality: Criticality::default(), baggage }
    }

    /// The context of the running task; outside any, a root with an empty caller.
    #[must_use]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_else(|| Self::root(""))
    }

    /// The context of the running task, if it has one.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `work` with this context.
    ///
    /// # Cancel safety
    /// That of `work`.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The same context with a deadline `timeout` from now, or its own where that is sooner.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with_timeout_at(Instant::now(), timeout)
    }

    /// The same context with a deadline `timeout` from `now`, or its own where that is sooner: for who knows the time already.
    #[must_use]
    pub fn with_timeout_at(mut self, now: Instant, timeout: Duration) -> Self {
        // A time too far off to be told is no deadline; peers and callers may ask for any.
        let candidate = now.checked_add(timeout);
        self.deadline = self.deadline.into_iter().chain(candidate).min();
        self
    }

    /// The time left before the deadline: `None` without one, zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_only_ever_shrinks() {
        let context = Context::root("a").with_timeout(Duration::from_secs(3)).with_timeout(Duration::from_secs(9));
        assert_eq!(context.remaining(), Some(Duration::from_secs(3)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(context.is_expired());
    }

    #[test]
    fn a_timeout_beyond_all_time_is_no_deadline() {
        let context = Context::root("a").with_timeout(Duration::MAX);
        assert_eq!(context.deadline, None);
        assert!(context.with_timeout(Duration::from_secs(3)).with_timeout(Duration::MAX).deadline.is_some());
    }
}
