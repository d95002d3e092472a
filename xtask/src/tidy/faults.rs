//! Planted bugs stay out of the product: the feature `faults` is switched on by the simulator alone, and by no default.
//!
//! A crate may pass it on to the crates below it, in its own `faults` feature; that is how the simulator reaches them all. Left
//! out: what a build of the whole workspace unifies. The bugs are compiled in there, and still armed by nobody.

use toml::Value;

use super::members::{self, Dependency, Member};
use super::{Report, Tree};

/// The feature.
const FEATURE: &str = "faults";

/// The crate that may enable it.
const SIMULATOR: &str = "settee-sim";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    // Which manifests cannot be read is said once, by the rule for manifests.
    let members = members::members(tree, &mut Report::default());
    for member in &members {
        for (feature, _) in features(member).filter(|(feature, enables)| *feature != FEATURE && names_it(enables)) {
            report.offence(&member.path, format!("the feature `{feature}` brings planted bugs with it; only `{FEATURE}` may"));
        }
        let enabling = member.dependencies().filter(|dependency| member.name != SIMULATOR && is_enabled(dependency));
        for dependency in enabling {
            let what = format!("{} enables `{FEATURE}`, which plants bugs; only {SIMULATOR} may", dependency.name);
            report.offence(&member.path, what);
        }
    }
    let shared = members::workspace_dependencies(tree);
    for (name, _) in shared.iter().filter(|(_, value)| value.get("features").is_some_and(names_it)) {
        report.offence("Cargo.toml", format!("the dependency {name} enables `{FEATURE}` for everybody; only {SIMULATOR} may"));
    }
}

fn features(member: &Member) -> impl Iterator<Item = (&String, &Value)> {
    member.manifest.get("features").and_then(Value::as_table).into_iter().flatten()
}

fn is_enabled(dependency: &Dependency<'_>) -> bool {
    dependency.value.get("features").is_some_and(names_it)
}

/// Whether a list of features has it, of this crate or of another.
fn names_it(list: &Value) -> bool {
    let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.into_iter().any(|name| name.rsplit('/').next() == Some(FEATURE))
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"a\"]\n[workspace.dependencies]\nb = { path = \"b\" }\n";

    fn with(root: &str, name: &str, rest: &str) -> Vec<String> {
        let member = format!("[package]\nname = \"{name}\"\n{rest}");
        offences(check, &[("Cargo.toml", root), ("a/Cargo.toml", &member)])
    }

    #[test]
    fn a_product_that_enables_the_planted_bugs_is_refused() {
        let enabling = "[dependencies]\nb = { workspace = true, features = [\"faults\"] }\n";
        assert_eq!(with(ROOT, "settee-cli", enabling).len(), 1);
        assert!(with(ROOT, SIMULATOR, enabling).is_empty());
        for feature in ["default = [\"faults\"]", "default = [\"b/faults\"]", "fast = [\"faults\"]"] {
            let found = with(ROOT, "settee-cli", &format!("[features]\nfaults = []\n{feature}\n"));
            assert!(found.len() == 1 && found[0].contains("brings planted bugs"), "{feature}: {found:?}");
        }
    }

    #[test]
    fn passing_it_on_is_what_the_simulator_needs() {
        assert!(with(ROOT, "settee-server", "[features]\nfaults = [\"b/faults\"]\n").is_empty());
    }

    #[test]
    fn the_shared_table_enables_it_for_nobody() {
        let root = ROOT.replace("{ path = \"b\" }", "{ path = \"b\", features = [\"faults\"] }");
        assert!(with(&root, "settee-cli", "")[0].contains("the dependency b enables"));
    }
}
