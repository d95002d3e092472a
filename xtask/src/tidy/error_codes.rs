//! Every stable error code has a page for the operator who meets it, and every page a code that can still be met.
//!
//! A code is a whole string literal of two to four capitals and four digits in the sources of a crate, outside tests.

use std::collections::BTreeMap;

use super::{Report, Tree};

const PAGES: &str = "docs/operations/errors/";
/// Pages of that folder that are about no single code.
const OTHER_PAGES: &[&str] = &["README"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let codes = codes_in_sources(tree);
    for (code, (path, line)) in &codes {
        if tree.text(&format!("{PAGES}{code}.md")).is_none() {
            report.offence_at(path, *line, format!("{code} has no page {PAGES}{code}.md"));
        }
    }
    for page in tree.paths().filter(|path| path.starts_with(PAGES)) {
        let name = page[PAGES.len()..].trim_end_matches(".md");
        if !codes.contains_key(name) && !OTHER_PAGES.contains(&name) {
            report.offence(page, format!("no source has the code \"{name}\""));
        }
    }
}

/// Each code with the place where it is seen first.
fn codes_in_sources(tree: &Tree) -> BTreeMap<&str, (&str, usize)> {
    let mut codes = BTreeMap::new();
    for (path, text) in tree.rust().filter(|(path, _)| is_product_source(path)) {
        for (index, line) in text.lines().take(lines_before_tests(text)).enumerate() {
            if !line.trim_start().starts_with("//") {
                literals(line).filter(|text| is_code(text)).for_each(|code| {
                    codes.entry(code).or_insert((path, index + 1));
                });
            }
        }
    }
    codes
}

fn is_product_source(path: &str) -> bool {
    let mut parts = path.split('/');
    let is_source = parts.next() == Some("crates") && parts.nth(1) == Some("src");
    is_source && !path.ends_with("_test.rs") && !parts.any(|part| part == "tests" || part == "tests.rs")
}

/// Unit tests stand last in a file, in a module of their own.
pub(super) fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let opens_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(opens_tests).unwrap_or(lines.len())
}

/// What stands between quotes. An escaped quote shifts the pairs of its line, which a code is never near.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

fn is_code(text: &str) -> bool {
    let Some(letters) = text.len().checked_sub(4) else { return false };
    let (component, number) = text.as_bytes().split_at(letters);
    (2..=4).contains(&letters) && component.iter().all(u8::is_ascii_uppercase) && number.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const SOURCE: &str = "crates/core/src/error.rs";

    #[test]
    fn a_code_with_its_page_passes() {
        let files = [(SOURCE, "const A: &str = \"TXN0007\";"), ("docs/operations/errors/TXN0007.md", "# TXN0007")];
        assert!(offences(check, &files).is_empty());
    }

    #[test]
    fn an_operator_never_meets_a_code_without_a_page() {
        let found = offences(check, &[(SOURCE, "\n    NAME = \"SET0001\";")]);
        assert_eq!(found, ["crates/core/src/error.rs:2: SET0001 has no page docs/operations/errors/SET0001.md"]);
    }

    #[test]
    fn a_page_outlives_no_code() {
        let found = offences(check, &[("docs/operations/errors/TXN0009.md", ""), ("docs/operations/errors/README.md", "")]);
        assert_eq!(found, ["docs/operations/errors/TXN0009.md: no source has the code \"TXN0009\""]);
    }

    #[test]
    fn tests_and_comments_may_write_any_code() {
        let inside = "fn a() {}\n#[cfg(test)]\nmod tests {\n    const A: &str = \"ABC0001\";\n}\n";
        let comment = "/// Like \"ABC0001\".\n";
        let test = "const A: &str = \"ABC0001\";";
        let paths = ["crates/core/src/error_test.rs", "crates/core/src/tests/a.rs", "crates/core/tests/a.rs", "tests/main.rs"];
        assert!(offences(check, &[(SOURCE, inside), ("crates/core/src/a.rs", comment)]).is_empty());
        for path in paths {
            assert!(offences(check, &[(path, test)]).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_test_module_in_its_own_file_does_not_end_the_search() {
        let text = "#[cfg(test)]\nmod error_test;\nconst A: &str = \"TXN0001\";";
        assert_eq!(offences(check, &[(SOURCE, text)]).len(), 1);
    }

    #[test]
    fn only_the_exact_shape_is_a_code() {
        for text in ["AB0001", "ABC0001", "ABCD0001"] {
            assert!(is_code(text), "{text}");
        }
        for text in ["", "0001", "A0001", "ABCDE0001", "AbC0001", "ABC001", "ABC00011", "Ä0001"] {
            assert!(!is_code(text), "{text}");
        }
    }
}
