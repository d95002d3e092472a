//! Figures: what settee does, beside a baseline that was measured in the same run.
//!
//! One binary a bench, started by `cargo xtask bench NAME`. Every figure is the median of at least five rounds; in each round
//! the contenders take turns, and the ratio is the median of the ratios of the rounds. So a neighbour on the machine who is
//! busy for a while slows both sides of a ratio. Absolute numbers of two machines, or of two runs, do not compare.
//!
//! Reading order: [`report`] (what is printed), [`rounds`] (how contenders take turns), [`machine`] (its name, its cores,
//! processor time), [`peer`] (the other processes of a bench), [`command`] (what every binary's `main` calls).
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures real files, processes and time; nothing of it is ever simulated"
)]

pub mod command;
pub mod machine;
pub mod peer;
pub mod report;
pub mod rounds;
