//! What `fix` and `tidy` both need to know of a Cargo.toml: the members of a workspace, and the order of dependency tables.
//!
//! Sorting works on lines, so comments, spacing and groups divided by blank lines survive; a parser would lose them.

use anyhow::{Context, Result};

/// The folders of the workspace members, as the root manifest lists them.
pub(crate) fn members(root_manifest: &str) -> Result<Vec<String>> {
    let table: toml::Table = root_manifest.parse().context("parse Cargo.toml")?;
    let listed = table.get("workspace").and_then(|workspace| workspace.get("members")).and_then(toml::Value::as_array);
    let listed = listed.context("Cargo.toml has no workspace.members")?;
    Ok(listed.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

/// `text` with every group of lines in a dependency table sorted by name. A group ends at a blank line.
pub(crate) fn sorted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut group = Vec::new();
    let mut in_dependencies = false;
    for line in text.split_inclusive('\n') {
        let is_header = line.starts_with('[');
        if is_header || line.trim().is_empty() || !in_dependencies {
            out.push_str(&sorted_group(&group));
            group.clear();
            out.push_str(line);
        } else {
            group.push(line);
        }
        if is_header {
            in_dependencies = is_dependency_table(line);
        }
    }
    out.push_str(&sorted_group(&group));
    out
}

/// Whether `[header]` opens a table whose keys are dependencies, whatever stands before (`workspace.`, `target.….`).
fn is_dependency_table(header: &str) -> bool {
    let name = header.trim_start_matches('[').split(']').next().unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default().trim();
    matches!(last, "dependencies" | "dev-dependencies" | "build-dependencies")
}

/// One dependency: the comment lines above it, its line, and the lines its value goes on for.
#[derive(Default)]
struct Entry {
    name: String,
    lines: String,
}

fn sorted_group(lines: &[&str]) -> String {
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    let mut depth = 0;
    for line in lines {
        if entry.name.is_empty() && !line.starts_with('#') {
            entry.name = key(line);
        }
        depth += nesting(line);
        entry.lines.push_str(line);
        if depth == 0 && !entry.name.is_empty() {
            entries.push(std::mem::take(&mut entry));
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut out: String = entries.into_iter().map(|entry| with_newline(entry.lines)).collect();
    out.push_str(&entry.lines);
    out
}

/// The last line of a file may lack its newline, and may be moved up.
fn with_newline(mut lines: String) -> String {
    if !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines
}

fn key(line: &str) -> String {
    line.split(['.', '=']).next().unwrap_or_default().trim().trim_matches('"').to_owned()
}

/// How many brackets `line` leaves open, not counting those in strings and comments.
fn nesting(line: &str) -> i32 {
    let mut depth = 0;
    let mut in_string = false;
    for letter in line.chars() {
        match letter {
            '"' => in_string = !in_string,
            _ if in_string => {}
            '#' => break,
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_within_a_group_and_groups_stay_apart() {
        let text = "[workspace.dependencies]\nb = 1\na = 1\n\nd = 1\nc = 1\n";
        assert_eq!(sorted(text), "[workspace.dependencies]\na = 1\nb = 1\n\nc = 1\nd = 1\n");
    }

    #[test]
    fn the_name_alone_decides_not_what_follows_it() {
        let text = "[dependencies]\nsettee.workspace = true\nsettee-core = { workspace = true }\nsettee2 = 1\n";
        assert_eq!(sorted(text), text);
    }

    #[test]
    fn a_comment_and_a_long_value_move_with_their_line() {
        let text = "[dev-dependencies]\nz = { features = [\n  \"b#\",\n] }\n# why a\na = 1\n# the end\n";
        assert_eq!(sorted(text), "[dev-dependencies]\n# why a\na = 1\nz = { features = [\n  \"b#\",\n] }\n# the end\n");
    }

    #[test]
    fn a_last_line_without_a_newline_never_glues_two_lines() {
        assert_eq!(sorted("[dependencies]\nb = 1\na = 1"), "[dependencies]\na = 1\nb = 1\n");
    }

    #[test]
    fn only_dependency_tables_are_touched() {
        let text = "[package]\nversion = 1\nname = 2\n[features]\nb = []\na = []\n[dependencies.x]\nversion = 1\nfeatures = []\n";
        assert_eq!(sorted(text), text);
        let target = "[target.'cfg(unix)'.dependencies]\nb = 1\na = 1\n";
        assert_eq!(sorted(target), "[target.'cfg(unix)'.dependencies]\na = 1\nb = 1\n");
    }

    #[test]
    fn members_are_read_as_listed() {
        assert_eq!(members("[workspace]\nmembers = [\"crates/a\", \"xtask\"]\n").unwrap(), ["crates/a", "xtask"]);
        assert!(members("[package]\n").is_err());
    }
}
