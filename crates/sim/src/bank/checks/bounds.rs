//! I13: what can grow stays below its bound, looked at every simulated second.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::bank::letters::HANDLERS;
use crate::bank::stage::{SERVER_PORT, Stage};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tasks of a server and of an application: some for each lane, partition, group and session, or for each connection and
/// subscription; what comes with a call or a delivery ends with it. About twice the most that 300 seeds had (132, and fewer than
/// 60), and half of what one task that every delivery leaves behind comes to.
const TASKS_OF_A_SERVER: usize = 260;
const TASKS_OF_AN_APPLICATION: usize = 120;

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
    let tasks = stage.world.nodes().into_iter().map(|node| {
        let limit = if node.address(SERVER_PORT) == stage.server { TASKS_OF_A_SERVER } else { TASKS_OF_AN_APPLICATION };
        (format!("tasks of {}", node.name()), node.tasks(), limit)
    });
    let handlers = ("handlers of the recorder".to_owned(), stage.letters.together(), HANDLERS);
    server.chain(tasks).chain([handlers]).collect()
}
