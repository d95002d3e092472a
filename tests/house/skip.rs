//! Stories that a machine cannot tell: they say so, and are counted by `cargo xtask test`.
#![expect(clippy::disallowed_methods, reason = "a file of the test run; nothing of it is simulated")]

use std::fs::File;
use std::io::Write;

/// Says that the story `name` was not told here, and why.
pub fn skipped(name: &str, why: &str) {
    println!("skipped: {name}: {why}");
    let Some(path) = std::env::var_os("SETTEE_SKIP_FILE") else { return };
    let written = File::options().create(true).append(true).open(path).and_then(|mut file| writeln!(file, "{name}: {why}"));
    written.expect("the file of skipped tests can be written");
}
