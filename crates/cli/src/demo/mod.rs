//! `settee demo`: settles a file of transfers over five real processes, may kill them on the way, and proves the result.
//!
//! ```text
//! args -> input (files, refused whole) -> folder -> supervisor (server, account 1, account 2, payment, notify)
//!      -> driver (order keeper, chaos) -> settle (consequences, reconcile job)
//!      -> report (JSON or tables, for who runs it) and status report (pain.002 or CSV, for who sent the file)
//! ```
//! Read [`order`] for why many transfers at a time give the outcomes of one after the other.

mod args;
mod chaos;
mod child;
mod clients;
mod driver;
mod file;
mod folder;
pub mod input;
mod keeper;
mod ledgers;
mod order;
mod process;
mod progress;
mod repeat;
mod report;
mod settle;
mod status_report;
mod supervisor;
mod tables;
mod topology;

use std::net::SocketAddr;
use std::process::ExitCode;

use settee_core::env;

pub(crate) use self::args::Args;
pub(crate) use self::process::{ProcessArgs, run_process};

use self::args::Plan;
use self::chaos::Chaos;
use self::clients::Clients;
use self::driver::{Answer, Driver};
use self::file::TransferFile;
use self::folder::Folder;
use self::progress::Progress;
use self::report::{Findings, Report};
use self::settle::Before;
use self::supervisor::{Processes, Supervisor};
use crate::failure::Failure;
use crate::logs;
use crate::output;
use crate::signals::Signals;

/// Runs the demo: exit code 0 when every transfer has its outcome and every invariant holds, else 1.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let plan = args.plan()?;
    let mut signals = Signals::listen()?;
    must_be_free(plan.listen).await?;
    logs::start(if plan.verbose { "info" } else { "off" });
    let folder = Folder::open(plan.data.as_deref()).await?;
    let program = std::env::current_exe().map_err(|error| Failure::failed(format!("find this program: {error}")))?;
    let processes = Processes { program, folder: &folder, listen: plan.listen, verbose: plan.verbose, without: &plan.without };
    let supervisor = or_interrupted(&mut signals, Supervisor::start(&processes)).await?;
    let ended = or_interrupted(&mut signals, attended(&plan, &supervisor)).await;
    if plan.console && ended.is_ok() {
        show_console(supervisor.server());
        // The file is done: whoever ends the demo now interrupts nothing.
        signals.next().await;
    }
    supervisor.stop().await;
    ended
}

/// Looked at before anything is started: the server would say it too, as somebody whom nobody has called.
async fn must_be_free(listen: SocketAddr) -> Result<(), Failure> {
    let taken = |error| Failure::wrong(format!("--listen {listen}: {error}")).with_next("settee demo --listen 127.0.0.1:0");
    env::listen(listen).await.map(drop).map_err(taken)
}

/// Does the work, for as long as every process can be kept running.
async fn attended(plan: &Plan, supervisor: &Supervisor) -> Result<ExitCode, Failure> {
    if plan.console {
        show_console(supervisor.server());
    }
    let (report, answers) = tokio::select! {
        settled = settle_file(plan, supervisor) => settled?,
        failure = supervisor.given_up() => return Err(failure),
    };
    let reported = plan.status_report.as_ref().map(|file| file.answer(&plan.batch, answers)).transpose();
    // Shown in any case: what was settled is known, even where it could not be written down.
    let exit = show(plan, &report)?;
    reported?;
    Ok(exit)
}

async fn settle_file(plan: &Plan, supervisor: &Supervisor) -> Result<(Report, Vec<Answer>), Failure> {
    let (clients, running) = Clients::connect(supervisor.server(), plan.patience).await?;
    let findings = find_out(plan, supervisor, &clients).await;
    running.stop().await;
    let mut findings = findings?;
    let answers = std::mem::take(&mut findings.outcomes.answers);
    Ok((Report::new(findings), answers))
}

async fn find_out(plan: &Plan, supervisor: &Supervisor, clients: &Clients) -> Result<Findings, Failure> {
    let file = TransferFile::new(&plan.batch);
    clients.limit_transfers(plan.rate).await?;
    ledgers::open(clients, &plan.accounts).await?;
    // Asking brings to its end what an earlier run left half done, so balances are read after it.
    let known = driver::known(clients, &file.orders).await?;
    let counted = Before::look(clients).await;
    let keeper = file.keeper(&ledgers::balances(clients).await?, &known);
    let before = ledgers::sums(clients).await?;

    let progress = Progress::new(file.orders.len(), plan.json);
    let mut chaos = Chaos::new(supervisor, clients, plan.chaos, file.orders.len());
    let driver = Driver { payment: &clients.payment, file: &file, concurrency: plan.concurrency };
    let outcomes = driver.run(keeper, &mut chaos, &progress).await?;
    progress.clear();

    let settled = settle::settle(clients, &outcomes.accepted, counted).await;
    let after = ledgers::sums(clients).await?;
    Ok(Findings {
        read: file.len(),
        replayed: known.iter().filter(|known| **known).count() as u64,
        before,
        after,
        outcomes,
        settled,
        struck: chaos.into_struck(),
        peak_rss_bytes: supervisor.peak_rss_bytes(),
    })
}

/// Prints the report, and what is wrong beside it.
fn show(plan: &Plan, report: &Report) -> Result<ExitCode, Failure> {
    let text = match plan.json {
        true => serde_json::to_string(report).map_err(|error| Failure::failed(format!("write the report: {error}")))?,
        false => tables::render(report),
    };
    let printed = output::print(&text);
    let broken = report.broken();
    for what in &broken {
        output::complain(format_args!("error: {what}"));
    }
    printed?;
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// On stderr, since stdout is for the report.
fn show_console(server: SocketAddr) {
    output::complain(format_args!("console: http://{server}/  (Ctrl-C ends the demo)"));
}

async fn or_interrupted<T>(signals: &mut Signals, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = signals.next() => Err(Failure::failed("interrupted before the file was done").with_next("settee demo --data FOLDER")),
    }
}
