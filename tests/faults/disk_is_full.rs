//! The disk fills up under load: what is new is refused and says why, what was acknowledged stays, and room is all that it takes
//! to go on.
#![expect(clippy::disallowed_methods, reason = "a story about a real folder")]

use settee::error::{Certainty, ErrorKind, codes};
use settee_tests::kill::{Kills, Plan, What};
use settee_tests::{Probe, SmallDisk, skipped, until};

const NAME: &str = "a_full_disk_refuses_what_is_new_loses_nothing_and_takes_it_again_once_there_is_room";

/// Room for two segments of the log, 64 MiB each, and some keys.
const ROOM: u64 = 160 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_is_new_loses_nothing_and_takes_it_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (settee, folder) = (super::SETTEE.into(), folder.path().to_owned());
    let mut plan = Plan { settee, folder, what: What::Server, behind: Vec::new() };
    std::fs::create_dir_all(plan.data()).unwrap();
    let Some(disk) = SmallDisk::mount(&plan.data(), ROOM).await else {
        return skipped(NAME, "this user may not mount a tmpfs in a namespace of its own");
    };
    plan.behind = disk.enter();
    let mut kills = Kills::start(&plan).await.unwrap();
    let probe = Probe::open(kills.address().unwrap()).await.unwrap();
    kills.load().await.unwrap();

    disk.fill();
    for refused in [probe.begin_until_full().await, probe.publish_until_full().await] {
        let refused = refused.expect("a disk without room takes nothing for ever");
        let expected = (&codes::STORE_FULL, ErrorKind::Full, Certainty::NotDone);
        assert_eq!((refused.code(), refused.kind(), refused.certainty()), expected, "{refused}");
    }

    disk.free();
    until(|| async { probe.begin().await.ok() }).await;
    until(|| async { probe.publish().await.ok() }).await;

    // What was acknowledged before, meanwhile and after is there, also for the next process.
    kills.kill().await;
    kills.restart_and_check().await.unwrap();
    kills.end().await;
    assert!(kills.tally().is_clean() && kills.tally().cycles == 1, "{:?}: {:?}", kills.tally(), kills.told());
    let (acknowledged, stored) = probe.messages().await;
    assert!(acknowledged <= stored && acknowledged > 1, "{acknowledged} messages were acknowledged, {stored} are stored");
}
