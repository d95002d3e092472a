//! The child's side of a [`Street`](crate::Street): the test binary starts itself again, and plays one part of the house.
//!
//! It says `ready ADDRESS` and `held POINT` on stdout, and is told `hold POINT PASS` and `release` on stdin. When stdin ends its
//! parent is gone, and it ends too.
#![expect(clippy::disallowed_methods, reason = "a process reads its stdin on a thread; nothing of it is simulated")]

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use settee::app::App;
use settee::config::Settings;
use settee_server::{Engines, Server, ServerOptions};
use settee_sqlx::DatabaseOptions;

use crate::hold::{Points, SilentKv};
use crate::{application, service, settings};

/// Which part to play.
pub(crate) const PART: &str = "SETTEE_STORY_PART";
/// The folder of the house.
pub(crate) const FOLDER: &str = "SETTEE_STORY_FOLDER";
/// Where the server is: for itself, where to listen.
pub(crate) const SERVER: &str = "SETTEE_STORY_SERVER";

/// Plays the part that the environment names, until it is killed. Returns at once where none is named: this is then a test
/// binary like any other.
///
/// # Panics
/// When the part cannot be played.
pub fn play_if_asked() {
    let Ok(part) = std::env::var(PART) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder of the house"));
    let server = std::env::var(SERVER).ok().and_then(|text| text.parse().ok()).expect("the address of the server");
    let points = Points::default();
    let orders = points.clone();
    std::thread::spawn(move || obey(&orders));
    settee::app::run(play(&part, &folder, server, points));
}

/// Tells the parent. The line before it may be the test harness's own, unfinished.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _the_parent_may_be_gone = write!(out, "\n{line}\n").and_then(|()| out.flush());
}

async fn play(part: &str, folder: &Path, server: SocketAddr, points: Points) {
    if part == "server" {
        let server = serve(folder, server, points).await;
        say(&format!("ready {}", server.address()));
        server.lost().await;
        panic!("the server lost its store");
    }
    let (application, share) = application(part);
    let app = App::new(application, Settings { share, ..settings(server) }).expect("settings that make sense");
    let options = DatabaseOptions { faults: Some(Arc::new(points.clone())), ..DatabaseOptions::default() };
    let app = service(part, app.filter(points), folder, options).await.expect("the database opens");
    let running = app.start().await.expect("the service starts");
    say(&format!("ready {}", running.address()));
    std::future::pending::<()>().await;
}

async fn serve(folder: &Path, listen: SocketAddr, points: Points) -> Server {
    let mut engines = Engines::embedded(&folder.join("server")).await.expect("the engines open");
    engines.kv = Arc::new(SilentKv { kv: engines.kv, points });
    let options = ServerOptions { listen, drain: Duration::from_secs(2), trace: true, ..ServerOptions::default() };
    Server::start(engines, options, Arc::new(())).await.expect("the server starts")
}

fn obey(points: &Points) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["hold", point, pass] => points.hold(point, pass.parse().unwrap_or(0)),
            ["release"] => points.release(),
            _ => say(&format!("does not understand {line:?}")),
        }
        say(&format!("done {line}"));
    }
    std::process::exit(0);
}
