//! What others read word by word: the README, the book, answers to wrong usages, the JSON endpoint, the pages of a process
//! and the console.

mod book;
mod console;
mod json_endpoint;
mod process_pages;
mod readme;
mod wrong_usages;

/// The program `settee`.
const SETTEE: &str = env!("CARGO_BIN_EXE_settee-in-stories");
