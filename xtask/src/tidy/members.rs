//! The workspace as its manifests describe it: the root table, the members, and their edges.

use toml::{Table, Value};

use super::{Report, Tree};
use crate::manifest;

/// The kinds of dependency table a manifest may have.
const KINDS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// A member of the workspace.
pub(crate) struct Member {
    /// The path of its manifest.
    pub(crate) path: String,
    /// The name of its package.
    pub(crate) name: String,
    /// Its manifest, parsed.
    pub(crate) manifest: Table,
}

/// One line of a dependency table.
pub(crate) struct Dependency<'a> {
    /// The table it stands in: `dependencies`, `dev-dependencies` or `build-dependencies`.
    pub(crate) kind: &'static str,
    /// The name it has in this manifest.
    pub(crate) name: &'a str,
    /// What it is set to.
    pub(crate) value: &'a Value,
}

/// All members that can be read; those that cannot are offences.
pub(crate) fn members(tree: &Tree, report: &mut Report) -> Vec<Member> {
    let listed = manifest::members(tree.text("Cargo.toml").unwrap_or_default());
    let listed = listed.map_err(|error| report.offence("Cargo.toml", format!("{error:#}"))).unwrap_or_default();
    listed.iter().filter_map(|folder| member(tree, folder, report)).collect()
}

fn member(tree: &Tree, folder: &str, report: &mut Report) -> Option<Member> {
    let path = format!("{folder}/Cargo.toml");
    let Some(manifest) = tree.text(&path).and_then(|text| text.parse::<Table>().ok()) else {
        report.offence(&path, "is listed in workspace.members and cannot be read");
        return None;
    };
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    Some(Member { path, name, manifest })
}

impl Member {
    /// Every dependency, also those for one target only.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let targets = self.manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables = targets.filter_map(Value::as_table).chain([&self.manifest]);
        tables.flat_map(dependencies_in)
    }
}

impl Dependency<'_> {
    /// The name of the package, which a manifest may have renamed.
    pub(crate) fn package(&self, workspace: &Table) -> String {
        let shared = workspace.get(self.name);
        let renamed = [Some(self.value), shared].into_iter().flatten().find_map(|value| value.get("package"));
        renamed.and_then(Value::as_str).unwrap_or(self.name).to_owned()
    }
}

fn dependencies_in(table: &Table) -> impl Iterator<Item = Dependency<'_>> {
    KINDS.iter().flat_map(|kind| {
        let lines = table.get(*kind).and_then(Value::as_table).into_iter().flatten();
        lines.map(|(name, value)| Dependency { kind, name, value })
    })
}

/// The dependency table of the root manifest.
pub(crate) fn workspace_dependencies(tree: &Tree) -> Table {
    let root: Table = tree.text("Cargo.toml").and_then(|text| text.parse().ok()).unwrap_or_default();
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    shared.and_then(Value::as_table).cloned().unwrap_or_default()
}
