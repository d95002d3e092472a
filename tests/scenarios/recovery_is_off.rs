//! Without recovery, what a crash left open stays open, whatever else is made meanwhile; with it, it ends.

use std::path::Path;

use settee_tests::{Demo, Street};

use super::SETTEE;

/// Few enough to be quick, enough to have business in both ledgers.
const TRANSFERS: &[&str] = &["--generate", "30"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_nobody_heard_of_is_carried_out_only_by_recovery() {
    // The power goes out when a decision is on disk and nobody has heard of it.
    let mut street = Street::start().await;
    let paying = street.stop_at_an_untold_decision().await;
    street.kill_all().await;
    paying.abort();

    // All of a file is made there, and that one still stands where it stood.
    let flags = [TRANSFERS, &["--without", "recovery", "--patience", "1"]].concat();
    let Demo { exit, report, complaints } = Demo::run(Path::new(SETTEE), street.folder(), &flags).await;
    assert_eq!((&report["transfers"]["read"], &report["transfers"]["unknown"]), (&30.into(), &0.into()), "{complaints}");
    assert_eq!((exit, &report["transactions"]["open"]), (Some(1), &1.into()), "{complaints}");
    assert!(complaints.contains("transactions that are open: 1"), "{complaints}");

    let Demo { exit, report, complaints } = Demo::run(Path::new(SETTEE), street.folder(), TRANSFERS).await;
    assert_eq!((exit, &report["transactions"]["open"]), (Some(0), &0.into()), "{complaints}");
}
