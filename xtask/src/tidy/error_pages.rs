//! A page about an error code answers what its reader asks, in one order: how it reads, whether it happened, why, what to do.

use super::{Report, Tree};

const PAGES: &str = "docs/operations/errors/";
const INDEX: &str = "docs/operations/errors/README.md";

/// What every page has, in this order.
const SECTIONS: &[&str] = &["## What happened", "## Did it happen?", "## Why", "## What to do"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let index = tree.text(INDEX).unwrap_or_default();
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(PAGES) && *path != INDEX) {
        let code = path[PAGES.len()..].trim_end_matches(".md");
        let sections: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if sections != SECTIONS {
            report.offence(path, format!("has the sections {sections:?}, expected are {SECTIONS:?}"));
        }
        if !text.starts_with(&format!("# {code}: ")) {
            report.offence(path, format!("does not begin with `# {code}: ` and what it means"));
        }
        if !has_example(text, code) {
            report.offence(path, format!("shows no message: the section begins with a ```text block that contains {code}"));
        }
        if !index.contains(&format!("[{code}]({code}.md)")) {
            report.offence(INDEX, format!("does not list {code}"));
        }
    }
}

/// The first section begins with the message as its reader met it.
fn has_example(text: &str, code: &str) -> bool {
    let section = text.split_once(SECTIONS[0]).map_or("", |(_, rest)| rest);
    let block = section.trim_start().strip_prefix("```text\n").and_then(|rest| rest.split_once("\n```"));
    block.is_some_and(|(message, _)| message.contains(code))
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const PAGE: &str = "docs/operations/errors/TXN0007.md";
    const GOOD: &str =
        "# TXN0007: too large\n\n## What happened\n```text\ntry [TXN0007]\n```\n\n## Did it happen?\n## Why\n## What to do\n";
    const LISTED: &str = "| [TXN0007](TXN0007.md) | too large |";

    #[test]
    fn a_page_that_answers_everything_passes() {
        assert!(offences(check, &[(PAGE, GOOD), (INDEX, LISTED)]).is_empty());
    }

    #[test]
    fn a_page_that_leaves_its_reader_alone_is_named() {
        let table = [
            ("## Why\n", "", "has the sections"),
            ("# TXN0007: too large", "# Too large", "does not begin with"),
            ("try [TXN0007]", "try", "shows no message"),
            ("```text\n", "\nSome words.\n\n```text\n", "shows no message"),
        ];
        for (good, bad, expected) in table {
            let found = offences(check, &[(PAGE, &GOOD.replace(good, bad)), (INDEX, LISTED)]);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        }
        assert_eq!(offences(check, &[(PAGE, GOOD), (INDEX, "")]), [format!("{INDEX}: does not list TXN0007")]);
    }
}
