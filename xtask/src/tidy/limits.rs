//! What bounds something has a name on the page of limits: people look there before they read sources.
//!
//! A bound is a constant with a number or a duration whose name begins with `MAX_`, or whose doc says "at most", "how long", "how
//! often" or "between two". Only the name is looked for, in a section whose heading names its folder: several constants have one
//! name. That the page has the right value is for its reader. The other way round, a constant that the page names is one.

use super::error_codes::lines_before_tests;
use super::{Report, Tree};

const PAGE: &str = "docs/operations/limits.md";

/// The crates that run in production. What bounds a demo or a simulation is its own affair.
const CRATES: &[&str] = &["core", "engines", "server", "settee", "sqlx", "wire"];

/// Types of a bound.
const TYPES: &[&str] = &["Duration", "f64", "u8", "u16", "u32", "u64", "u128", "usize"];

/// How a doc comment speaks of a bound, in lower case.
const WORDS: &[&str] = &["at most", "how long", "how often", "between two"];

/// Numbers whose doc sounds like a bound, and which are something else: `path NAME`.
const NO_BOUNDS: &[&str] = &["crates/engines/src/memory/disk/image.rs PAGE"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let page = tree.text(PAGE).unwrap_or_default();
    let sections = sections(page);
    for (path, text) in tree.rust().filter(|(path, _)| is_product(path)) {
        let lines: Vec<_> = text.lines().take(lines_before_tests(text)).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(name) = number(line) else { continue };
            let is_bound = name.starts_with("MAX_") || speaks_of_a_bound(&lines[..index]);
            let is_listed = sections.iter().any(|section| section.lists(name, path));
            if is_bound && !is_listed && !NO_BOUNDS.contains(&format!("{path} {name}").as_str()) {
                let what = format!("`{name}` bounds something; name it in {PAGE}, in a section whose heading has its folder");
                report.offence_at(path, index + 1, what);
            }
        }
    }
    for name in gone(page, tree) {
        report.offence(PAGE, format!("names `{name}`, which no source defines"));
    }
}

/// A part of the page: the folders that its heading names, and all of it.
struct Section<'a> {
    folders: Vec<&'a str>,
    text: &'a str,
}

fn sections(page: &str) -> Vec<Section<'_>> {
    page.split("\n## ").skip(1).map(Section::of).collect()
}

impl<'a> Section<'a> {
    fn of(text: &'a str) -> Self {
        let heading = text.lines().next().unwrap_or_default();
        Self { folders: heading.split('`').skip(1).step_by(2).collect(), text }
    }

    fn lists(&self, name: &str, path: &str) -> bool {
        let is_in = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.starts_with(['/', '.']));
        self.folders.iter().any(is_in) && self.text.contains(&format!("`{name}`"))
    }
}

/// What the page names and no source defines, such as a constant that was renamed since.
fn gone<'a>(page: &'a str, tree: &Tree) -> Vec<&'a str> {
    let names = page.split('`').skip(1).step_by(2).filter(|name| is_constant(name));
    let is_defined = |name: &str| tree.rust().any(|(_, text)| text.contains(&format!("const {name}: ")));
    names.filter(|name| !is_defined(name)).collect()
}

fn is_constant(name: &str) -> bool {
    name.len() > 1 && name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
}

fn is_product(path: &str) -> bool {
    let is_source = CRATES.iter().any(|name| path.starts_with(&format!("crates/{name}/src/")));
    is_source && !path.ends_with("_test.rs") && !path.contains("/testing")
}

/// The name of the constant that this line defines, if it is a number or a duration.
fn number(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("const ")?;
    let is_definition = before.is_empty() || before.starts_with("pub") && before.ends_with(' ');
    let (name, rest) = rest.split_once(": ")?;
    let (kind, _) = rest.split_once(" = ")?;
    (is_definition && TYPES.contains(&kind)).then_some(name)
}

/// Whether the doc comment that ends the lines does.
fn speaks_of_a_bound(before: &[&str]) -> bool {
    let doc = before.iter().rev().take_while(|line| line.starts_with("///"));
    let text = doc.map(|line| line.to_lowercase()).collect::<Vec<_>>();
    WORDS.iter().any(|word| text.iter().any(|line| line.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const SOURCE: &str = "crates/core/src/a.rs";
    const HEADING: &str = "# Limits\n\n## Things: `crates/core`\n\n";

    fn found(source: &str, page: &str) -> Vec<String> {
        offences(check, &[(SOURCE, source), (PAGE, page)])
    }

    fn unlisted(line: usize, name: &str) -> String {
        let what = "bounds something; name it in docs/operations/limits.md, in a section whose heading has its folder";
        format!("{SOURCE}:{line}: `{name}` {what}")
    }

    #[test]
    fn a_bound_that_nobody_can_look_up_is_named() {
        let source = "/// Things of a thing at most.\npub(crate) const THINGS: usize = 8;\nconst MAX_SIZE: u64 = 1;\n";
        assert_eq!(found(source, ""), [unlisted(2, "THINGS"), unlisted(3, "MAX_SIZE")]);
        assert_eq!(found(source, &format!("{HEADING}| things | 8 | | `THINGS` |")), [unlisted(3, "MAX_SIZE")]);
        assert!(found(source, &format!("{HEADING}`THINGS`, `MAX_SIZE`")).is_empty());
    }

    #[test]
    fn a_bound_of_the_same_name_elsewhere_does_not_stand_in_for_one_that_nobody_can_look_up() {
        let source = "const MAX_SIZE: u64 = 1;\n";
        for elsewhere in ["crates/wire", "crates/core/src/b", "crates/co"] {
            let page = format!("# Limits\n\n## Elsewhere: `{elsewhere}`\n\n`MAX_SIZE`\n");
            assert_eq!(found(source, &page), [unlisted(1, "MAX_SIZE")], "{elsewhere}");
        }
        assert!(found(source, "# Limits\n\n## Here: `crates/wire`, `crates/core/src/a`\n\n`MAX_SIZE`\n").is_empty());
    }

    #[test]
    fn a_limit_whose_constant_was_renamed_is_named() {
        let source = "const MAX_SIZE: u64 = 1;\n";
        assert_eq!(
            found(source, &format!("{HEADING}`MAX_SIZE` `OLD_SIZE` `Config::max`")),
            [format!("{PAGE}: names `OLD_SIZE`, which no source defines")]
        );
    }

    #[test]
    fn other_numbers_and_tests_are_left_alone() {
        for source in [
            "/// The version.\nconst VERSION: u8 = 1;\n",
            "/// At most three letters.\nconst NAMES: &[&str] = &[];\n",
            "#[cfg(test)]\nmod tests {\n/// At most.\nconst LIMIT: u8 = 1;\n}\n",
        ] {
            assert!(found(source, "").is_empty(), "{source}");
        }
    }
}
