//! Kept processes for real, with a shell as the process; and this test binary as a parent that is killed.

use std::path::Path;

use super::*;
use crate::lifeline::{Lifeline, is_nobody_left, nobody_left};
use settee::app::announce;

/// A process that serves nowhere, says so, and ends with its stdin.
fn shell(script: &str) -> Program {
    let script = script.to_owned();
    Box::new(move |_| Launch { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.clone().into()], log: None })
}

const SERVES: &str = r#"echo starting; echo '{"ready":"127.0.0.1:9"}'; exec cat"#;

#[tokio::test]
async fn a_killed_process_is_started_again_and_a_stopped_one_is_not() {
    let mut keeper = Keeper::start("cat", shell(SERVES));
    let at = "127.0.0.1:9".parse().unwrap();
    assert_eq!(keeper.up_after(0).await.unwrap(), (1, at));
    keeper.kill().await.unwrap();
    assert_eq!(keeper.up_after(1).await.unwrap(), (2, at));
    assert!(keeper.peak_rss_bytes() > 0, "it was measured before it was killed");
    keeper.stop().await;
    assert_eq!(*keeper.status.borrow(), Status::Ended(None));
    assert!(keeper.kill().await.is_err());
}

#[tokio::test]
async fn a_process_that_never_gets_ready_is_an_error_that_says_how_it_ended() {
    let keeper = Keeper::start("false", shell("exit 3"));
    let failure = keeper.given_up().await.to_string();
    assert!(failure.contains("keep false running") && failure.contains("exit status: 3"), "{failure}");
}

#[tokio::test]
async fn a_process_that_is_not_ready_can_be_stopped() {
    let mut keeper = Keeper::start("sleep", shell("exec sleep 600"));
    assert!(keeper.kill().await.is_err(), "there is nothing to kill yet");
    keeper.stop().await;
    assert_eq!(*keeper.status.borrow(), Status::Ended(None));
}

#[tokio::test]
async fn the_next_life_knows_where_the_one_before_served() {
    let program: Program = Box::new(|before| {
        let port = before.map_or(8, |address: SocketAddr| address.port() + 1);
        let script = format!(r#"echo '{{"ready":"127.0.0.1:{port}"}}'; exec cat"#);
        Launch { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], log: None }
    });
    let keeper = Keeper::start("cat", program);
    assert_eq!(keeper.up_after(0).await.unwrap().1.port(), 8);
    keeper.kill().await.unwrap();
    assert_eq!(keeper.up_after(1).await.unwrap().1.port(), 9);
}

/// What this test binary is when it is run by one of its own tests.
const PART: &str = "SETTEE_TEST_PART";
const FILE: &str = "SETTEE_TEST_FILE";

/// Runs one test of this binary as a process, with a part to play.
fn play(part: &str, test: &str, file: &Path) -> Launch {
    let exe = std::env::current_exe().unwrap();
    let script = format!("{PART}={part} {FILE}={} exec {} --exact --nocapture {test}", file.display(), exe.display());
    Launch { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], log: None }
}

const PARENT: &str = "demo::keeper::tests::a_parent_that_is_killed_leaves_no_child_behind";

#[tokio::test]
async fn a_parent_that_is_killed_leaves_no_child_behind() {
    let file = std::env::var(FILE).unwrap_or_default();
    match std::env::var(PART).as_deref() {
        Ok("child") => {
            let _lifeline = Lifeline::hold(Path::new(&file)).unwrap();
            announce("127.0.0.1:7".parse().unwrap());
            std::future::pending::<()>().await;
        }
        Ok("parent") => {
            let keeper = Keeper::start("child", Box::new(move |_| play("child", PARENT, Path::new(&file))));
            announce(keeper.up_after(0).await.unwrap().1);
            std::future::pending::<()>().await;
        }
        _ => {
            let place = tempfile::tempdir().unwrap();
            let file = place.path().join("processes.lock");
            let mut parent = Child::start(&play("parent", PARENT, &file)).await.unwrap();
            assert!(!is_nobody_left(&file).unwrap(), "the child lives");
            parent.kill().unwrap();
            parent.ended().await;
            nobody_left(&file).await.unwrap();
        }
    }
}
