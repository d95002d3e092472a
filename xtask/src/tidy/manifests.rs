//! Manifests: one version table in the root, members that inherit, tables in order.

use toml::Value;

use super::members::{self, Dependency, Member};
use super::{Report, Tree};
use crate::manifest;

/// Said once, in `[workspace.package]`.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license"];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let members = members::members(tree, report);
    for path in members.iter().map(|member| member.path.as_str()).chain(["Cargo.toml"]) {
        check_order(path, tree.text(path).unwrap_or_default(), report);
    }
    for member in &members {
        check_inheritance(member, report);
        for dependency in member.dependencies().filter(|dependency| dependency.name != member.name) {
            check_dependency(member, &dependency, report);
        }
    }
}

fn check_order(path: &str, text: &str, report: &mut Report) {
    let sorted = manifest::sorted(text);
    let out_of_order = text.lines().zip(sorted.lines()).position(|(is, should)| is != should);
    if let Some(line) = out_of_order {
        report.offence_at(path, line + 1, "dependencies are not sorted; to put it right: cargo xtask fix");
    }
}

fn check_inheritance(member: &Member, report: &mut Report) {
    let package = member.manifest.get("package");
    for key in INHERITED {
        if !package.and_then(|package| package.get(key)).is_some_and(is_of_workspace) {
            report.offence(&member.path, format!("write `{key}.workspace = true`"));
        }
    }
    if !member.manifest.get("lints").is_some_and(is_of_workspace) {
        report.offence(&member.path, "write `[lints]` with `workspace = true`");
    }
}

fn check_dependency(member: &Member, dependency: &Dependency<'_>, report: &mut Report) {
    let Dependency { kind, name, value } = dependency;
    if !is_of_workspace(value) {
        report
            .offence(&member.path, format!("{kind}: {name} wants `workspace = true`; versions and paths live in the root table"));
    }
}

fn is_of_workspace(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const PACKAGE: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n";
    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn with(root: &str, member: &str) -> Vec<String> {
        let root = format!("[workspace]\nmembers = [\"a\"]\n{root}");
        offences(check, &[("Cargo.toml", &root), ("a/Cargo.toml", member)])
    }

    #[test]
    fn a_member_that_inherits_everything_passes() {
        let uses = "[dependencies]\nx = { workspace = true, features = [\"y\"] }\nz.workspace = true\n";
        assert!(with("", &format!("{PACKAGE}{uses}{LINTS}")).is_empty());
    }

    #[test]
    fn a_version_of_its_own_is_refused_in_every_table() {
        for line in
            ["[dependencies]\nx = \"1\"", "[dev-dependencies.x]\npath = \"../x\"", "[target.'cfg(unix)'.dependencies]\nx = \"1\""]
        {
            let found = with("", &format!("{PACKAGE}{line}\n{LINTS}"));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].contains("x wants `workspace = true`"));
        }
    }

    #[test]
    fn what_is_not_inherited_is_named() {
        let found = with("", &PACKAGE.replace("edition.workspace = true", "edition = \"2024\""));
        let expected =
            ["a/Cargo.toml: write `edition.workspace = true`", "a/Cargo.toml: write `[lints]` with `workspace = true`"];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_first_line_out_of_order_is_named() {
        let found = with("[workspace.dependencies]\na = \"1\"\nc = \"1\"\nb = \"1\"\n", &format!("{PACKAGE}{LINTS}"));
        assert_eq!(found, ["Cargo.toml:5: dependencies are not sorted; to put it right: cargo xtask fix"]);
    }

    #[test]
    fn a_listed_member_that_is_not_there_is_an_offence_and_not_a_crash() {
        let found = offences(check, &[("Cargo.toml", "[workspace]\nmembers = [\"gone\"]\n")]);
        assert_eq!(found, ["gone/Cargo.toml: is listed in workspace.members and cannot be read"]);
    }
}
