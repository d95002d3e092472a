//! The contract of `Log`.
