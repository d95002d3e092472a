//! Logs go to stderr, one line an event. `SETTEE_LOG` filters them, as in `SETTEE_LOG=info,settee::txn=debug`.

use std::io;

use tracing_subscriber::EnvFilter;

/// The variable that filters.
const VARIABLE: &str = "SETTEE_LOG";

/// Starts logging with `filter`, unless the environment has another.
pub(crate) fn start(filter: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(filter));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    let _started_before = logs.try_init();
}
