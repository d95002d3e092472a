//! Files: short enough to hold in the head, named after what they are, small enough to clone.

use super::tree::MAX_FILE_BYTES;
use super::{Report, Tree};

/// Longer sources usually hold two things. Listed, so that somebody looks.
const LONG_LINES: usize = 450;
/// A few long tables are fine; a habit of long files is not.
const MAX_LONG_FILES: usize = 5;

/// Names that everybody imports and nobody owns.
const NAMES_OF_NOTHING: &[&str] = &["utils", "common", "misc", "helpers", "types"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    check_length(tree, report);
    for (path, bytes) in tree.sizes() {
        if let Some(name) = name_of_nothing(path) {
            report.offence(path, format!("`{name}` says nothing; name it after what it holds, or put that beside its user"));
        }
        if bytes > MAX_FILE_BYTES {
            report.offence(path, format!("has {bytes} bytes, which is over {MAX_FILE_BYTES}"));
        }
    }
}

fn check_length(tree: &Tree, report: &mut Report) {
    let lengths = tree.rust().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = lengths.filter(|(_, lines)| *lines > LONG_LINES).collect();
    let is_habit = long.len() > MAX_LONG_FILES;
    for (path, lines) in long {
        let what = format!("has {lines} lines, which is over {LONG_LINES}");
        if is_habit {
            report.offence(path, format!("{what}, and more than {MAX_LONG_FILES} files are"));
        } else {
            report.note(path, what);
        }
    }
}

fn name_of_nothing(path: &str) -> Option<&str> {
    let stems = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    stems.into_iter().find(|stem| NAMES_OF_NOTHING.contains(stem))
}

#[cfg(test)]
mod tests {
    use super::super::report::{offences, report_on};
    use super::*;

    fn long_files(count: usize, lines: usize) -> Report {
        let text = "//\n".repeat(lines);
        let names: Vec<_> = (0..count).map(|number| format!("src/long{number}.rs")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
        report_on(check, &files)
    }

    #[test]
    fn a_long_file_is_listed_and_a_habit_of_them_fails() {
        assert!(long_files(9, LONG_LINES).notes().is_empty());
        let few = long_files(MAX_LONG_FILES, LONG_LINES + 1);
        assert_eq!((few.notes().len(), few.offences().len()), (MAX_LONG_FILES, 0));
        let many = long_files(MAX_LONG_FILES + 1, LONG_LINES + 1);
        assert_eq!((many.notes().len(), many.offences().len()), (0, MAX_LONG_FILES + 1));
    }

    #[test]
    fn a_name_of_nothing_is_refused_for_files_and_folders() {
        for path in ["src/utils.rs", "src/common/mod.rs", "tests/helpers/a.rs", "crates/types/Cargo.toml", "misc"] {
            assert_eq!(offences(check, &[(path, "")]).len(), 1, "{path}");
        }
        assert!(offences(check, &[("src/common_name.rs", ""), ("src/mistypes.rs", "")]).is_empty());
    }

    #[test]
    fn a_file_too_large_to_clone_is_refused() {
        let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
        assert!(offences(check, &[("a.bin", &"x".repeat(limit))]).is_empty());
        assert_eq!(offences(check, &[("a.bin", &"x".repeat(limit + 1))]).len(), 1);
    }
}
