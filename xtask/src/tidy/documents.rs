//! The documents that a newcomer, a user and a lawyer look for are there, and say something.

use super::{Report, Tree};

const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "docs/glossary.md"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for path in DOCUMENTS {
        match tree.text(path).map(str::trim) {
            None => report.offence(path, "is missing"),
            Some("") => report.offence(path, "is empty"),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    #[test]
    fn a_missing_or_empty_document_is_named() {
        let mut files: Vec<_> = DOCUMENTS.iter().map(|path| (*path, "# Words\n")).collect();
        assert!(offences(check, &files).is_empty());
        files[0].1 = " \n";
        files.pop();
        assert_eq!(offences(check, &files), ["ARCHITECTURE.md: is empty", "docs/glossary.md: is missing"]);
    }
}
