//! Stories: each file is named after what a user would fear, and tells it in phases on the real system.
#![expect(clippy::inconsistent_digit_grouping, reason = "amounts are written as euros_cents")]

mod faults;
mod golden;
mod scenarios;

/// Not a story: the process that plays a part of one, when a story starts this binary again.
#[test]
fn a_part_of_a_story() {
    settee_tests::play_if_asked();
}
