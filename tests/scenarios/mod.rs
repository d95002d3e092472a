//! The main job, and what each component carries of it: take one away, or make it say no, and see the difference.

mod breaker_opens_and_closes_again;
mod deadline_passes;
mod job_fires_at_its_time;
mod many_transfers_at_once;
mod money_moves_once;
mod nobody_is_registered;
mod rate_limits_without_losing_transfers;
mod recovery_is_off;
mod same_order_races_itself;
mod service_is_asked_to_stop;
mod service_is_not_ready;
mod topic_is_paused;
mod traces_are_off;
mod transaction_is_parked;

/// The program `settee`.
const SETTEE: &str = env!("CARGO_BIN_EXE_settee-in-stories");
