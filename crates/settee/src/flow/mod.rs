//! Limits and breakers on every edge: rules are data, watched, compiled whole and swapped by pointer.
//!
//! Admission is decided in the call, never before it, and held until the call ended or was dropped.

pub mod control;
mod limits;

mod chain;
mod clock;
mod filter;
mod gate;
mod shared_breaker;
mod watch;

pub use chain::Admitted;
pub use filter::ServerFlow;
pub use limits::Flow;
pub(crate) use limits::is_trouble;
pub use settee_core::flow::{BreakerOptions, BreakerState, Limit, Mode, Rule, RuleSet, Side};
pub use watch::follow;
