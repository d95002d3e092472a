//! I8: every client knows every instance, soon after everything is healed.

use std::time::Duration;

use crate::bank::stage::Stage;
use crate::faults::SAFETY;
use crate::history::Violation;

/// How long after the heal a list may still change: a supervisor's second, and the registry's way to hear of everybody.
const CONVERGED: Duration = Duration::from_secs(5);

/// The watcher was shown every instance of every service within [`CONVERGED`] of the heal, or of the end of a drain that had begun
/// before it, and nothing else since. That no list became empty without a reason is checked as it is shown.
pub(in crate::bank) fn i8_every_client_knows_every_instance(stage: &Stage) -> Vec<Violation> {
    let calm_since = SAFETY.max(stage.views.drained_at());
    let mut found = Vec::new();
    for (service, truth, shown) in stage.views.final_views() {
        if shown.addresses != truth {
            let detail = format_args!("{service} is at {truth:?}, a client knows {:?}", shown.addresses);
            found.push(Violation::new("I8", detail));
        } else if shown.changed_at > calm_since + CONVERGED {
            let detail = format_args!("the list of {service} still changed at {:?}", shown.changed_at);
            found.push(Violation::new("I8", detail));
        }
    }
    found
}
