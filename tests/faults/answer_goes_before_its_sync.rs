//! The witness of syncs: what `kill -9` cannot show, since the kernel lives on. `strace` watches the process, and between each
//! write and its acknowledgement there must be a sync of that file that succeeded.
#![expect(clippy::disallowed_methods, reason = "stories about real files")]

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use settee_tests::trace::{TRACED, Witness, calls, witness};
use settee_tests::{Launch, Process, post, skipped, until};

/// What is looked for in the trace: nothing else is called so.
const MARK: &str = "witness-of-syncs";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_synced_before_it_is_acknowledged() {
    let name = "a_message_is_synced_before_it_is_acknowledged";
    let Some(story) = Story::server().await else { return skipped(name, NO_STRACE) };
    let producer = story.ask("settee.Messages/open_producer", json!({ "name": "witness" })).await;
    let publish = |id: &str, sequence: u64| {
        let message = json!({ "id": id, "payload": [1, 2, 3], "sequence": sequence });
        json!({ "publish": { "topic": "witness", "producer": producer, "messages": [message] } })
    };
    story.ask("settee.Messages/publish", publish("warm", 1)).await;
    story.ask("settee.Messages/publish", publish(MARK, 2)).await;
    story.shows_a_sync_of("/log-").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_synced_before_it_is_acknowledged() {
    let name = "a_key_is_synced_before_it_is_acknowledged";
    let Some(story) = Story::server().await else { return skipped(name, NO_STRACE) };
    story.ask("settee.Messages/create_topic", json!({ "topic": { "name": MARK } })).await;
    story.shows_a_sync_of("/state.redb").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_ledger_is_synced_before_it_is_acknowledged() {
    let name = "a_row_of_a_ledger_is_synced_before_it_is_acknowledged";
    let Some(story) = Story::ledger().await else { return skipped(name, NO_STRACE) };
    let account = |name: &str| {
        let account = json!({ "account": name, "owner": "somebody", "currency": "EUR", "minor": 5, "closed": false });
        json!({ "ledger": name, "accounts": [account] })
    };
    story.ask("pay.Account/open", account("warm")).await;
    story.ask("pay.Account/open", account(MARK)).await;
    story.shows_a_sync_of("/ledger.db").await;
}

const NO_STRACE: &str = "strace is missing, or may not trace here";

struct Story {
    folder: tempfile::TempDir,
    traced: Process,
    _server: Option<Process>,
}

impl Story {
    /// A server that is watched.
    async fn server() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let traced = watched(server(folder.path()), folder.path()).await?;
        Some(Self { folder, traced, _server: None })
    }

    /// A ledger that is watched, beside its server.
    async fn ledger() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = server(folder.path()).start().await.unwrap_or_else(|ended| panic!("{ended}"));
        let (at, database) = (server.address().to_string(), folder.path().join("ledger.db"));
        let words = ["demo-process", "account", "--server", &at, "--database"].map(OsStr::new);
        let launch = Launch::new(Path::new(super::SETTEE), &folder.path().join("ledger.log")).with(words);
        let traced = watched(launch.with([database.as_os_str()]), folder.path()).await?;
        Some(Self { folder, traced, _server: Some(server) })
    }

    /// Asks over a connection of its own, on which nothing else is under way, until that is answered.
    async fn ask(&self, method: &str, body: Value) -> Value {
        let (at, path, body) = (self.traced.address(), format!("/rpc/{method}"), body.to_string());
        let page = until(|| async { Some(post(at, &path, &body).await).filter(|page| page.status == 200) }).await;
        page.json()
    }

    async fn shows_a_sync_of(self, file: &str) {
        self.traced.let_go().await;
        let trace = std::fs::read_to_string(trace_of(self.folder.path())).unwrap();
        let Witness { writes, syncs } = witness(&calls(&trace), MARK, file).unwrap_or_else(|doubt| panic!("{doubt}"));
        assert!(writes > 0 && syncs > 0, "{writes} writes, {syncs} syncs");
    }
}

fn server(folder: &Path) -> Launch {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Launch::server(Path::new(super::SETTEE), &folder.join("server"), any, &folder.join("server.log"))
}

/// Starts it under `strace`; `None` where that cannot be.
async fn watched(launch: Launch, folder: &Path) -> Option<Process> {
    let can_trace = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !can_trace.is_ok_and(|status| status.success()) {
        return None;
    }
    // A whole page of a database is shown, and more than a group of the log takes here.
    let strace = ["strace", "-f", "-y", "-s", "65536", "-e", &format!("trace={TRACED}"), "-o"].map(Into::into);
    let behind = strace.into_iter().chain([trace_of(folder).into_os_string()]);
    let process = launch.bound_to(&folder.join("lifeline")).behind(behind).start().await;
    Some(process.unwrap_or_else(|ended| panic!("{ended}")))
}

fn trace_of(folder: &Path) -> PathBuf {
    folder.join("trace")
}
