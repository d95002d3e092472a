//! The types that bodies are read as: every kind of value that a service could ask for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A bit of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    id: u64,
    cents: i128,
    #[serde(default)]
    small: i8,
    note: Option<String>,
    lines: Vec<Line>,
    tags: BTreeMap<String, f64>,
    #[serde(default)]
    parts: Vec<Order>,
    #[serde(default)]
    pair: (char, [u16; 2]),
}

/// All shapes of an enum's variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Line {
    Empty,
    Text(String),
    Pair(i32, bool),
    Item { sku: String, raw: Bytes },
}

/// Recursion through enums alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Chain {
    End,
    Link(Box<Chain>),
}
