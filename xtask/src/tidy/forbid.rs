//! Every room forbids unsafe code at its door, and the two that read foreign or persisted bytes forbid panics.

use super::{Report, Tree};

/// Rooms without unsafe code. `sim` is not among them: its guard of libc calls needs some.
const ROOMS: &[&str] = &["wire", "core", "engines", "settee", "macros", "server", "sqlx", "cli"];

/// Rooms that bytes from elsewhere reach first: no input may bring the process down.
const ROOMS_WITHOUT_PANIC: &[&str] = &["wire", "engines"];
const PANICS: &[&str] = &["clippy::unwrap_used", "clippy::expect_used", "clippy::indexing_slicing", "clippy::panic"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for room in ROOMS {
        let path = format!("crates/{room}/src/lib.rs");
        let levels = Levels::of(tree.text(&path).unwrap_or_default());
        if !levels.forbid("unsafe_code") {
            report.offence(&path, "write `#![forbid(unsafe_code)]`");
        }
        if !ROOMS_WITHOUT_PANIC.contains(room) {
            continue;
        }
        for lint in PANICS.iter().filter(|lint| !levels.deny(lint)) {
            report.offence(&path, format!("write `#![deny({lint})]`"));
        }
    }
}

/// The inner attributes of a file, without comments and spaces.
struct Levels(String);

impl Levels {
    fn of(source: &str) -> Self {
        let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
        let packed: String = code.flat_map(str::chars).filter(|letter| !letter.is_whitespace()).collect();
        // A test module may come with attributes of its own; the door's stand first.
        let mut rest = packed.as_str();
        let mut attributes = String::new();
        while let Some(start) = rest.find("#![") {
            let length = rest[start..].find(")]").map_or(rest.len() - start, |end| end + 2);
            attributes.push_str(&rest[start..start + length]);
            rest = &rest[start + length..];
        }
        Self(attributes)
    }

    fn forbid(&self, lint: &str) -> bool {
        self.has("forbid(", lint)
    }

    fn deny(&self, lint: &str) -> bool {
        self.has("deny(", lint) || self.forbid(lint)
    }

    fn has(&self, level: &str, lint: &str) -> bool {
        let lists = self.0.split(level).skip(1).filter_map(|after| after.split(')').next());
        lists.flat_map(|list| list.split(',')).any(|listed| listed == lint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const OPEN: &str = "#![forbid(unsafe_code)]\n";
    const CLOSED: &str = "//! Doc.\n#![forbid(unsafe_code)]\n#![cfg_attr(\n    not(test),\n    deny(clippy::expect_used, \
        clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)\n)]\n";

    fn with(room: &str, text: &str) -> Vec<String> {
        let text_of = |each: &&str| match (*each == room, ROOMS_WITHOUT_PANIC.contains(each)) {
            (true, _) => text.to_owned(),
            (false, true) => CLOSED.to_owned(),
            (false, false) => OPEN.to_owned(),
        };
        let files: Vec<_> = ROOMS.iter().map(|each| (format!("crates/{each}/src/lib.rs"), text_of(each))).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        offences(check, &files)
    }

    #[test]
    fn rooms_with_their_attributes_pass() {
        assert!(with("core", OPEN).is_empty());
        assert!(with("wire", CLOSED).is_empty());
    }

    #[test]
    fn a_missing_commented_or_weaker_attribute_is_an_offence() {
        for text in ["", "// #![forbid(unsafe_code)]\n", "#![deny(unsafe_code)]\n", "#![allow(unsafe_code)]\n"] {
            assert_eq!(with("core", text), ["crates/core/src/lib.rs: write `#![forbid(unsafe_code)]`"], "{text}");
        }
    }

    #[test]
    fn each_way_to_panic_is_named_for_itself() {
        assert_eq!(with("wire", OPEN).len(), PANICS.len());
        let found = with("engines", &CLOSED.replace("clippy::panic, ", ""));
        assert_eq!(found, ["crates/engines/src/lib.rs: write `#![deny(clippy::panic)]`"]);
    }
}
