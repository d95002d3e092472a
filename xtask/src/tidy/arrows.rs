//! Which of our crates may know which. Arrows point down: tests, cli -> server -> {settee, engines} -> core; settee -> wire.
//!
//! All kinds of dependency obey one table. So `settee` and `sqlx` do not reach `server` in their tests either: such a test
//! belongs to `tests`. A crate may name itself as a dev-dependency, which is how it switches on its own feature for tests.

use std::collections::BTreeSet;

use super::members::{self, Member};
use super::{Report, Tree};

/// What a crate may depend on, of ours.
enum Reach {
    These(&'static [&'static str]),
    All,
}
use Reach::{All, These};

const ARROWS: &[(&str, Reach)] = &[
    ("settee-wire", These(&[])),
    ("settee-core", These(&[])),
    ("settee-engines", These(&["settee-core"])),
    ("settee-macros", These(&[])),
    ("settee", These(&["settee-wire", "settee-core", "settee-macros"])),
    ("settee-server", These(&["settee", "settee-core", "settee-engines"])),
    ("settee-sqlx", These(&["settee", "settee-core"])),
    ("settee-payments", These(&["settee", "settee-sqlx"])),
    ("settee-cli", These(&["settee-server", "settee-engines", "settee", "settee-core", "settee-sqlx", "settee-payments"])),
    (
        "settee-sim",
        These(&["settee", "settee-core", "settee-engines", "settee-server", "settee-sqlx", "settee-payments", "settee-cli"]),
    ),
    ("settee-fuzz-targets", These(&["settee-wire", "settee-core", "settee", "settee-payments", "settee-cli"])),
    ("settee-tests", All),
    ("settee-benches", All),
    ("xtask", These(&[])),
];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    // Which manifests cannot be read is said once, by the rule for manifests.
    let members = members::members(tree, &mut Report::default());
    let shared = members::workspace_dependencies(tree);
    let ours: BTreeSet<_> = members.iter().map(|member| member.name.as_str()).collect();
    for member in &members {
        for dependency in member.dependencies() {
            let package = dependency.package(&shared);
            if ours.contains(package.as_str()) && !may_depend(member, &package) {
                let what = format!("{} on {package} is an arrow that xtask/src/tidy/arrows.rs does not have", dependency.kind);
                report.offence(&member.path, what);
            }
        }
        if reach(&member.name).is_none() {
            report.offence(&member.path, format!("{} has no line in xtask/src/tidy/arrows.rs", member.name));
        }
    }
}

fn may_depend(member: &Member, package: &str) -> bool {
    let listed = match reach(&member.name) {
        Some(All) => true,
        Some(These(names)) => names.contains(&package),
        None => false,
    };
    listed || member.name == package
}

fn reach(name: &str) -> Option<&'static Reach> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, reach)| reach)
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"core\", \"settee\"]\n\
        [workspace.dependencies]\nrules = { path = \"core\", package = \"settee-core\" }\n";

    fn with(core: &str, settee: &str) -> Vec<String> {
        let core = format!("[package]\nname = \"settee-core\"\n{core}");
        let settee = format!("[package]\nname = \"settee\"\n{settee}");
        offences(check, &[("Cargo.toml", ROOT), ("core/Cargo.toml", &core), ("settee/Cargo.toml", &settee)])
    }

    #[test]
    fn an_arrow_that_points_down_passes_and_so_does_a_crate_that_names_itself() {
        let own = "[dev-dependencies]\nsettee.path = \".\"\n";
        assert!(with("", &format!("[dependencies]\nrules.workspace = true\n{own}")).is_empty());
    }

    #[test]
    fn an_arrow_that_points_up_is_refused_in_every_table() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let found = with(&format!("[{table}]\nsettee.workspace = true\n"), "");
            assert_eq!(found.len(), 1, "{table}");
            assert!(found[0].starts_with("core/Cargo.toml: ") && found[0].contains("on settee is an arrow"), "{found:?}");
        }
    }

    #[test]
    fn renaming_a_crate_does_not_hide_the_arrow() {
        let found = with("[dependencies]\nfriend = { package = \"settee\", path = \"../settee\" }\n", "");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_new_crate_must_be_given_its_arrows() {
        let files = [("Cargo.toml", "[workspace]\nmembers = [\"new\"]\n"), ("new/Cargo.toml", "[package]\nname = \"new\"\n")];
        assert_eq!(offences(check, &files), ["new/Cargo.toml: new has no line in xtask/src/tidy/arrows.rs"]);
    }

    #[test]
    fn the_table_names_only_crates_it_has_lines_for() {
        for (from, reach) in ARROWS {
            let These(names) = reach else { continue };
            assert!(names.iter().all(|to| super::reach(to).is_some()), "{from}");
        }
    }
}
