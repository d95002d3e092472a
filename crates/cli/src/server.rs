//! `settee server`: one coordinating process on a data folder, until a signal ends it or its store does.
//!
//! stdout carries one line, `{"ready":"ADDR"}`, once calls are served; a supervisor waits for it. Logs go to stderr.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use settee::app::announce;
use settee::error::codes;
use settee::rpc::AllowedHosts;
use settee::{Error, ErrorKind};
use settee_server::{Engines, Server, ServerOptions};

use crate::control::{address, default_server};
use crate::failure::Failure;
use crate::logs;
use crate::signals::Signals;
use crate::without::Without;

/// How long calls under way may take to end at a stop: above any call's default timeout, below a supervisor's patience.
const DRAIN: Duration = Duration::from_secs(10);

/// What is logged unless the environment says otherwise.
const LOGS: &str = "info";

/// Run the server: registry, transactions, messages, jobs, flow rules and traces.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "SETTEE_LISTEN", hide_env_values = true, default_value_t = default_server(), value_parser = address)]
    listen: SocketAddr,
    /// A name under which browsers reach the server, such as settee.bank.example; may be repeated. Addresses and localhost need none.
    #[arg(long, value_name = "NAME", env = "SETTEE_ALLOWED_HOSTS", hide_env_values = true, value_delimiter = ',')]
    allowed_host: Vec<String>,
    /// The folder that holds everything the server remembers; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Listen where other machines can connect, although nothing authenticates them.
    #[arg(long)]
    insecure: bool,
    /// Leave a part out, to see what it carries; may be repeated
    #[arg(long, value_name = "PART")]
    without: Vec<Without>,
}

/// Runs a server to its end.
pub(crate) async fn run(args: Args) -> ExitCode {
    match serve(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(false),
    }
}

async fn serve(args: &Args) -> Result<(), Failure> {
    refuse_strangers(args)?;
    refuse_files(args)?;
    let allowed_hosts = allowed_hosts(args)?;
    logs::start(LOGS);
    let mut signals = Signals::listen()?;
    let engines = Engines::embedded(&args.data).await.map_err(|error| args.not_started(error))?;
    let options = ServerOptions {
        listen: args.listen,
        allowed_hosts,
        drain: DRAIN,
        trace: true,
        without: args.without.iter().map(|part| part.part()).collect(),
        ..ServerOptions::default()
    };
    let server = Server::start(engines, options, Arc::new(())).await.map_err(|error| args.not_started(error))?;
    announce(server.address());
    tokio::select! {
        () = signals.next() => {}
        () = server.lost() => return Err(lost(args).into()),
    }
    tokio::select! {
        () = server.stop() => Ok(()),
        () = signals.next() => Err(cut_short().into()),
    }
}

impl Args {
    /// Why it does not start, with the command to type next.
    fn not_started(&self, error: Error) -> Failure {
        let (listen, data) = (self.listen, self.data.display());
        let next = match error.code() {
            code if *code == codes::LISTEN_FAILED => {
                let other = SocketAddr::new(default_server().ip(), 0);
                format!("settee server --listen {other} --data {data}")
            }
            code if *code == codes::STORE_LOCKED => format!("fuser -v {data}/lock"),
            code if *code == codes::STORE_READ_ONLY => format!("ls -ld {data}"),
            code if *code == codes::STORE_FULL => format!("df -h {data}"),
            code if *code == codes::STORE_NEWER => "settee --version".to_owned(),
            _ => format!("settee server --listen {listen} --data OTHER_FOLDER"),
        };
        Failure::from(error).with_next(next)
    }
}

/// Nothing in this version proves who calls: outside this machine that must be said to be all right.
pub(crate) fn refuse_strangers(args: &Args) -> Result<(), Failure> {
    if args.insecure || args.listen.ip().is_loopback() {
        return Ok(());
    }
    let at = args.listen;
    let message = format!("--listen {at} can be reached from other machines, and nothing authenticates or encrypts calls");
    Err(Failure::wrong(message)
        .with_note("listen on a loopback address, or add --insecure if the network itself keeps strangers out")
        .with_next(format!("settee server --listen {}", default_server())))
}

/// Looked at before anything is begun: `--data` names a folder, or one to be made.
pub(crate) fn refuse_files(args: &Args) -> Result<(), Failure> {
    let data = args.data.display();
    if !args.data.exists() || args.data.is_dir() {
        return Ok(());
    }
    let listen = args.listen;
    let next = format!("settee server --listen {listen} --data OTHER_FOLDER");
    Err(Failure::wrong(format!("--data {data} is not a folder")).with_next(next))
}

/// The names, or which one is none, before anything is begun.
pub(crate) fn allowed_hosts(args: &Args) -> Result<AllowedHosts, Failure> {
    let wrong = |error: Error| {
        let message = format!("read --allowed-host and SETTEE_ALLOWED_HOSTS: {}", error.message());
        let next = "settee server --allowed-host settee.bank.example";
        Failure::from(Error::new(error.kind(), error.code().clone(), message)).with_next(next)
    };
    // An empty variable is none.
    let names = args.allowed_host.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    AllowedHosts::new(names).map_err(wrong)
}

fn lost(args: &Args) -> Error {
    let message = format!("serve {}: the store stopped, or another server took it over; the log says which", args.data.display());
    Error::new(ErrorKind::NotOwner, codes::NOT_OWNER, message).unknown()
}

fn cut_short() -> Error {
    Error::new(ErrorKind::Closed, codes::DRAINING, "stop: a second signal ended the drain, calls were under way").unknown()
}
