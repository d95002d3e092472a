//! The rules of flow control: how many ([`Rate`], [`Concurrency`]) and whether at all ([`Breaker`]).
//!
//! Each is exact on its own and cheap enough for every call: a reject allocates nothing and costs less than a pass.

mod breaker;
mod concurrency;
mod rate;
mod rule;

pub use breaker::{Admission, Breaker, BreakerOptions, BreakerState};
pub use concurrency::Concurrency;
pub use rate::Rate;
pub use rule::{BadRule, Limit, Mode, Rule, RuleSet, Side};
