//! I15: the store opens after every crash. That everything acknowledged is in it is what I1 to I6 say.

use settee::ErrorKind;

use crate::bank::stage::Stage;
use crate::history::Violation;
use crate::world::Phase;

/// No start found damage, and none failed once everything was healed.
pub(in crate::bank) fn i15_the_store_opens_after_every_crash(stage: &Stage) -> Vec<Violation> {
    let refused = stage.starts.failed().into_iter();
    let wrong = refused.filter(|start| start.phase == Phase::Liveness || start.kind == ErrorKind::Damaged);
    wrong.map(|start| Violation::new("I15", format_args!("start {} was refused: {}", start.incarnation, start.message))).collect()
}
