//! Layered configuration: defaults < file < environment < flags.
//!
//! ```text
//! account.toml                     environment              flags
//! database = "./account.db"        ACCOUNT_DATABASE=..      --set database=..
//! [settee]
//! server = "127.0.0.1:7400"        SETTEE_SERVER=..         --set settee.server=..
//! ```
//! A key that nobody knows is an error that names the nearest one that exists: a typo never silently keeps a default.

mod layers;
mod names;
mod settings;

pub use layers::{Layers, Source};
pub(crate) use names::fields_of;
pub use names::nearest;
pub use settings::Settings;

#[cfg(test)]
mod config_test;
