//! The rules of calling: which instance to pick ([`balance`]) and when to try again ([`retry`]).

pub mod balance;
pub mod retry;
