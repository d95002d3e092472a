//! What no committed line says: where this machine keeps its files, or that something is still to be done.
//!
//! The needles are put together from halves, so that this file is not its own offence.

use super::{Report, Tree};

/// Folders that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];
/// Code that is not there, and tests that do not run.
const UNFINISHED_CODE: &[&str] = &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")];
/// Words that put a doubt into the sources instead of settling it.
const DOUBTS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

/// Files that people write by hand, besides Rust; data may hold a doubt's letters by chance.
const HAND_WRITTEN: &[&str] = &[".md", ".sh", ".toml", ".yaml", ".yml", ".ci/run"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            for needle in needles_in(path, line) {
                report.offence_at(path, index + 1, format!("`{needle}` does not belong into a commit"));
            }
        }
    }
}

fn needles_in(path: &str, line: &str) -> Vec<&'static str> {
    let is_rust = path.ends_with(".rs");
    let is_by_hand = HAND_WRITTEN.iter().any(|end| path.ends_with(end));
    // In code the letters may be a value, as they are the currency code of "no currency"; in a comment they are a doubt.
    let remarks = if is_rust { line.split_once("//").map_or("", |(_, comment)| comment) } else { line };
    let code = if is_rust { line } else { "" };
    let by_hand = if is_rust || is_by_hand { remarks } else { "" };

    let paths = MACHINE_PATHS.iter().filter(|needle| starts_a_word(line, needle));
    let unfinished = UNFINISHED_CODE.iter().filter(|needle| starts_a_word(code, needle));
    let doubts = DOUBTS.iter().filter(|needle| is_a_word(by_hand, needle));
    paths.chain(unfinished).chain(doubts).copied().collect()
}

/// `needle` occurs with nothing before it that would make it the tail of something longer.
fn starts_a_word(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| !line[..at].ends_with(continues))
}

fn is_a_word(line: &str, needle: &str) -> bool {
    let mut places = line.match_indices(needle);
    places.any(|(at, _)| !line[..at].ends_with(continues) && !line[at + needle.len()..].starts_with(continues))
}

fn continues(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.~}*)".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    fn found(path: &str, line: &str) -> usize {
        offences(check, &[(path, line)]).len()
    }

    #[test]
    fn every_needle_is_found_where_it_counts() {
        for needle in MACHINE_PATHS {
            assert_eq!(found("docs/a.json", &format!("\"{needle}me/a\"")), 1, "{needle}");
        }
        for needle in UNFINISHED_CODE {
            assert_eq!(found("src/a.rs", &format!("    {needle})")), 1, "{needle}");
        }
        for needle in DOUBTS {
            assert_eq!(found("src/a.rs", &format!("let a = 1; // {needle}: why")), 1, "{needle}");
            assert_eq!(found("README.md", &format!("{needle}: write this")), 1, "{needle}");
        }
    }

    #[test]
    fn the_line_is_named() {
        let text = format!("one\ntwo {}\n", MACHINE_PATHS[0]);
        assert_eq!(
            offences(check, &[("a.md", &text)]),
            [format!("a.md:2: `{}` does not belong into a commit", MACHINE_PATHS[0])]
        );
    }

    #[test]
    fn a_needle_within_something_longer_or_in_data_is_innocent() {
        let [_, root, work] = MACHINE_PATHS else { panic!("three paths") };
        for text in [format!("crates{work}a"), format!("tree{root}a"), format!("${{HOME}}{work}"), format!("..{root}")] {
            assert_eq!(found("a.md", &text), 0, "{text}");
        }
        let currency = DOUBTS[1];
        assert_eq!(found("src/money.rs", &format!("(\"{currency}\", 0)")), 0);
        assert_eq!(found("data/currencies.csv", currency), 0);
        assert_eq!(found("run.sh", &format!("mktemp a.{currency}{currency}")), 0);
    }

    #[test]
    fn this_file_is_not_its_own_offence() {
        assert_eq!(offences(check, &[("xtask/src/tidy/text.rs", include_str!("text.rs"))]), [""; 0]);
    }
}
