//! I13: what can grow stays below its bound, looked at every simulated second.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::bank::letters::HANDLERS;
use crate::bank::stage::Stage;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tasks of one process. A server has some for each lane, partition, group and session, an application for each connection and
/// subscription; what comes with a call or a delivery ends with it. Far above the most that a thousand seeds had, far below what a
/// task that is left behind by every delivery comes to.
const TASKS: usize = 400;

/// Looks at every node and at the server's own gauges, for ever. What is over its bound is said once.
pub(in crate::bank) async fn i13_nothing_grows_beyond_its_bound(stage: Arc<Stage>) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for (what, value, limit) in gauges(&stage).into_iter().filter(|(_, value, limit)| value > limit) {
            if told.insert(what.clone()) {
                stage.violated("I13", format_args!("{what}: {value}, at most {limit} are allowed"));
            }
        }
    }
}

/// What is counted, how much there is, and how much there may be.
fn gauges(stage: &Stage) -> Vec<(String, usize, usize)> {
    let server = stage.starts.gauges().into_iter().map(|gauge| (gauge.name.to_owned(), gauge.value, gauge.limit));
    let tasks = stage.world.nodes().into_iter().map(|node| (format!("tasks of {}", node.name()), node.tasks(), TASKS));
    let handlers = ("handlers of the recorder".to_owned(), stage.letters.together(), HANDLERS);
    server.chain(tasks).chain([handlers]).collect()
}
