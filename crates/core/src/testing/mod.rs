//! Contract suites: what every engine behind a port must do, written once and run by each engine's tests.
//!
//! Behind the feature `testing`; a suite panics with the broken promise in its message, as a test does.

pub mod disk;
pub mod kv;
pub mod log;
