//! What dies, and what must not be seen of it: every part here is a process, and dies by `kill -9`. And what its disk does to
//! one, and what it does to its disk.

mod account_dies_between_try_and_confirm;
mod answer_goes_before_its_sync;
mod coordinator_dies_before_it_tells_its_decision;
mod coordinator_dies_with_transactions_open;
mod data_folder_cannot_be_used;
mod disk_fails_a_sync;
mod disk_is_full;
mod everything_dies_at_once;
mod ledgers_die_again_and_again;
mod notify_dies_before_it_acknowledges;
mod payment_dies_before_it_writes_the_outcome;
mod server_dies_between_plan_and_run;

/// The program `settee`.
const SETTEE: &str = env!("CARGO_BIN_EXE_settee-in-stories");
