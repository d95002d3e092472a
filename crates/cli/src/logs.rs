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
pub(crate) fn start(filter: &str) {
    let chosen = env::var(VARIABLE).ok().and_then(|text| text.parse::<Targets>().ok());
    let targets = chosen.or_else(|| filter.parse().ok()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let _started_before = tracing_subscriber::registry().with(lines).with(targets).try_init();
}
