//! Limits and breakers on every edge: rules are data, watched, compiled whole and swapped by pointer.
//!
//! Admission is decided in the call, never before it, and held until the call ended or was dropped.

pub mod control;
mod filter;
mod gate;
mod limits;
mod watch;

pub use filter::ServerFlow;
pub(crate) use limits::is_trouble;
pub use limits::{Admitted, Flow};
pub use settee_core::flow::{BreakerOptions, Limit, Mode, Rule, RuleSet, Side};
pub use watch::follow;
