//! Logs go to stderr, one line an event. `SETTEE_LOG` filters them, as in `SETTEE_LOG=info,settee::txn=debug`.
//!
//! `Targets` and not `EnvFilter`: the latter brings a regular expression engine along, for filters that nobody needs here.

use std::{env, io};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The variable that filters.
const VARIABLE: &str = "SETTEE_LOG";

/// Starts logging with `filter`, unless the environment has another that can be read.
#[expect(clippy::disallowed_methods, reason = "what a whole process says is for its main to decide")]
pub(crate) fn start(filter: &str) {
    let asked = env::var(VARIABLE).ok();
    let chosen = asked.as_deref().map(str::parse::<Targets>);
    let unreadable = matches!(chosen, Some(Err(_)));
    let targets = chosen.and_then(Result::ok).or_else(|| filter.parse().ok()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let _started_before = tracing_subscriber::registry().with(lines).with(targets).try_init();
    if unreadable {
        let asked = asked.unwrap_or_default();
        tracing::warn!("read {VARIABLE} {asked:?}: TARGET=LEVEL with commas between is expected; {filter} is used");
    }
}
