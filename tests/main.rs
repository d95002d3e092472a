//! Stories: each file is named after what a user would fear, and tells it in phases on the real system.

mod scenarios;
