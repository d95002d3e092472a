//! Counting what the test harness prints. A binary that starts and gives no result counts as one failure: it crashed.

use std::fmt;

/// The counts of one run, over all test binaries.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// A binary said `running N tests` and has not given its result yet.
    is_open: bool,
    complaints: Vec<&'static str>,
}

impl Tally {
    /// Takes in one line of output; most say nothing to us.
    pub(crate) fn read(&mut self, line: &str) {
        if is_start(line) {
            self.expect_closed();
            self.is_open = true;
        } else if let Some([passed, failed, ignored]) = result(line) {
            self.passed += passed;
            self.failed += failed;
            self.skipped += ignored;
            self.is_open = false;
        }
    }

    /// The output is over. When cargo is not content and nobody has failed, something without a name did: a build, most often.
    pub(crate) fn close(&mut self, cargo_was_content: bool) {
        self.expect_closed();
        if !cargo_was_content && self.failed == 0 {
            self.fail("cargo test failed, and not by a test: see above");
        }
    }

    /// These passed for the harness, but said that they did not run.
    pub(crate) fn count_as_skipped(&mut self, tests: usize) {
        self.passed = self.passed.saturating_sub(tests);
        self.skipped += tests;
    }

    /// These were not started, as their peer is missing; that is a failure where peers `must_be_present`.
    pub(crate) fn count_missing(&mut self, tests: usize, must_be_present: bool) {
        if must_be_present && tests > 0 {
            self.failed += tests;
            self.complaints.push("a peer that tests need is missing, which CI does not forgive");
        } else {
            self.skipped += tests;
        }
    }

    /// What went wrong besides failing tests.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = &str> {
        let none_ran = (self.passed + self.failed == 0).then_some("no test ran");
        self.complaints.iter().copied().chain(none_ran)
    }

    /// Something ran and nothing failed.
    pub(crate) fn is_success(&self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    fn expect_closed(&mut self) {
        if self.is_open {
            self.fail("a test binary ended without a result: it crashed or left");
        }
    }

    fn fail(&mut self, complaint: &'static str) {
        self.is_open = false;
        self.failed += 1;
        self.complaints.push(complaint);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// `running 3 tests`
fn is_start(line: &str) -> bool {
    let count = line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")));
    count.is_some_and(|count| count.parse::<usize>().is_ok())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn result(line: &str) -> Option<[usize; 3]> {
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let mut next = |word: &str| counts.next()?.strip_suffix(word)?.trim().parse().ok();
    Some([next("passed")?, next("failed")?, next("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s";
    const BAD: &str = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    /// Lines of output, whether cargo was content, and the line a user gets.
    const RUNS: &[(&[&str], bool, &str)] = &[
        (&["running 4 tests", OK], true, "3 passed, 0 failed, 1 skipped"),
        (&["running 4 tests", OK, "running 3 tests", BAD], false, "4 passed, 2 failed, 1 skipped"),
        (&["running 1 test", "running 4 tests", OK], false, "3 passed, 1 failed, 1 skipped"),
        (&["running 4 tests", OK, "running 1 test"], false, "3 passed, 1 failed, 1 skipped"),
        (&["running late", "test result: unclear"], true, "0 passed, 0 failed, 0 skipped"),
        (&[], false, "0 passed, 1 failed, 0 skipped"),
    ];

    fn tally(lines: &[&str], cargo_was_content: bool) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally.close(cargo_was_content);
        tally
    }

    #[test]
    fn all_binaries_are_added_up_and_a_crash_is_a_failure() {
        for (lines, content, expected) in RUNS {
            assert_eq!(tally(lines, *content).to_string(), *expected, "{lines:?}");
        }
    }

    #[test]
    fn a_run_without_any_test_is_not_a_success() {
        let tally = tally(&["running 0 tests"], true);
        assert!(!tally.is_success());
        let empty = super::Tally::default();
        assert!(!empty.is_success());
        assert_eq!(empty.complaints().collect::<Vec<_>>(), ["no test ran"]);
    }

    #[test]
    fn a_skipped_test_is_never_counted_as_passed() {
        let mut tally = tally(&[OK], true);
        tally.count_as_skipped(2);
        tally.count_missing(4, false);
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 7 skipped");
        assert!(tally.is_success());
    }

    #[test]
    fn ci_does_not_forgive_a_missing_peer() {
        let mut tally = tally(&[OK], true);
        tally.count_missing(4, true);
        assert_eq!(tally.to_string(), "3 passed, 4 failed, 1 skipped");
        assert!(!tally.is_success());
    }
}
