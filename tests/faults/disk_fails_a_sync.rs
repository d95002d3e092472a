//! A sync fails once: nobody is told that what it should have kept is kept, the process ends, and the next one goes on from what
//! is on the disk.

use settee_tests::kill::{Kills, Plan, What};
use settee_tests::{Probe, SyncTrap, skipped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_of_the_log_is_never_an_acknowledgement_and_ends_the_server() {
    let name = "a_failed_sync_of_the_log_is_never_an_acknowledgement_and_ends_the_server";
    let Some(story) = Story::begin("/log-").await else { return skipped(name, NO_COMPILER) };
    story.trap.set();
    let answer = story.probe.publish().await;
    story.goes_on_with(answer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_of_the_state_is_never_an_acknowledgement_and_ends_the_server() {
    let name = "a_failed_sync_of_the_state_is_never_an_acknowledgement_and_ends_the_server";
    let Some(story) = Story::begin("/state.redb").await else { return skipped(name, NO_COMPILER) };
    story.trap.set();
    let answer = story.probe.begin().await;
    story.goes_on_with(answer).await;
}

const NO_COMPILER: &str = "there is no C compiler called cc";

struct Story {
    _folder: tempfile::TempDir,
    trap: SyncTrap,
    kills: Kills,
    probe: Probe,
}

impl Story {
    /// A server under load, in which the syncs of one file can be made to fail.
    async fn begin(file: &'static str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let trap = SyncTrap::compile(folder.path(), file)?;
        let (settee, path) = (super::SETTEE.into(), folder.path().to_owned());
        let plan = Plan { settee, folder: path, what: What::Server, behind: trap.preload() };
        let mut kills = Kills::start(&plan).await.unwrap();
        let probe = Probe::open(kills.address().unwrap()).await.unwrap();
        kills.load().await.unwrap();
        Some(Self { _folder: folder, trap, kills, probe })
    }

    /// What was asked after the trap was set cannot have been synced before it sprang.
    async fn goes_on_with(mut self, answer: Result<(), settee::Error>) {
        answer.expect_err("it was acknowledged, and its sync failed");
        let ended = self.kills.victim_ended().await.expect("a server whose sync failed ends");
        assert!(self.trap.has_sprung(), "no sync failed: {ended}");
        assert!(ended.status.is_some_and(|status| !status.success()), "{ended}");
        assert!(ended.log.contains("has stopped") && ended.log.contains("os error 5"), "{ended}");

        self.kills.kill().await;
        self.kills.restart_and_check().await.unwrap();
        self.kills.end().await;
        let tally = self.kills.tally();
        assert!(tally.is_clean() && tally.cycles == 1, "{tally:?}: {:?}", self.kills.told());
    }
}
