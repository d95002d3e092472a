//! `settee transactions`: what became of global transactions, as a list and one by one.

mod tree;

use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use settee::Error;
use settee::error::codes;
use settee::txn::{ListOrder, ListPosition, ListTransactions, TransactionControl, TransactionControlClient, TransactionPage};
use settee_core::id::Xid;
use settee_core::txn::State;

use crate::control::{Control, ServerArgs};
use crate::failure::Failure;
use crate::number::number;
use crate::output::{self, cell};

/// Lines of one command at most: it stays a page for people; programs go on with `--after`.
const MAX_LINES: u32 = 10_000;

/// Pages asked for by one command at most. A filter that fits few gives short pages; this many look at millions of transactions.
const MAX_PAGES: usize = 256;

/// The states that are listed: all that a transaction of which something is known can be in.
const STATES: [State; 9] = [
    State::Active,
    State::Committing,
    State::Committed,
    State::Aborting,
    State::Aborted,
    State::CommitParked,
    State::AbortParked,
    State::UnknownParked,
    State::ClosedByOperator,
];

/// Look at global transactions.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// List transactions, the newest first.
    Ls(ListArgs),
    /// Show everything about one transaction.
    Show(ShowArgs),
}

/// Which transactions to list.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those with exactly this reference, such as the end-to-end id of a payment.
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
    /// Only those in this state.
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = PossibleValuesParser::new(STATES.map(State::as_str)).map(|name| named(&name)))]
    state: Option<State>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50, allow_negative_numbers = true, value_parser = number::<u32>(1..=u64::from(MAX_LINES)))]
    limit: u32,
    /// Only those behind this one: where the last list ended.
    #[arg(long, value_name = "NEXT", value_parser = position)]
    after: Option<ListPosition>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The transaction: 32 hexadecimal digits.
    xid: Xid,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command to its end.
pub(crate) async fn run(args: Args) -> ExitCode {
    let server = match &args.command {
        Command::Ls(list) => list.server,
        Command::Show(show) => show.server,
    };
    output::finish(answer(&args).await, server.json)
}

/// What the command prints.
pub(crate) async fn answer(args: &Args) -> Result<String, Failure> {
    match &args.command {
        Command::Ls(args) => list(args).await,
        Command::Show(args) => show(args).await,
    }
}

/// The transactions that fit, as a table or a [`TransactionPage`].
pub(crate) async fn list(args: &ListArgs) -> Result<String, Failure> {
    let control = Control::at(args.server.server);
    let page = pages(args, &control).await?;
    if args.server.json {
        return output::pretty(&page);
    }
    let mut text = lines(&page);
    if let Some(next) = page.next {
        text.push_str(&format!("\nthere are more: add --after {next}"));
    }
    Ok(text)
}

async fn show(args: &ShowArgs) -> Result<String, Failure> {
    let control = Control::at(args.server.server);
    let client: TransactionControlClient = control.client();
    let view = client.show(args.xid).await.map_err(|fault| not_shown(&control, fault.into()))?;
    if args.server.json { output::pretty(&view) } else { Ok(tree::of(&view)) }
}

fn not_shown(control: &Control, error: Error) -> Failure {
    let is_unknown = *error.code() == codes::NO_TRANSACTION;
    let failed = control.failed(error);
    if is_unknown { failed.with_next(control.typed("settee transactions ls")) } else { failed }
}

/// Pages until there are as many lines as were asked for.
async fn pages(args: &ListArgs, control: &Control) -> Result<TransactionPage, Failure> {
    let client: TransactionControlClient = control.client();
    let mut all = TransactionPage { transactions: Vec::new(), next: args.after };
    for _ in 0..MAX_PAGES {
        let missing = args.limit.saturating_sub(u32::try_from(all.transactions.len()).unwrap_or(u32::MAX));
        let request = ListTransactions {
            state: args.state,
            reference: args.reference.clone(),
            order: ListOrder::Newest,
            after: all.next,
            limit: missing,
            ..ListTransactions::default()
        };
        let page = client.list(request).await.map_err(|fault| control.failed(fault))?;
        all.transactions.extend(page.transactions);
        all.next = page.next;
        if all.next.is_none() || all.transactions.len() >= usize::try_from(args.limit).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(all)
}

fn lines(page: &TransactionPage) -> String {
    let rows = page.transactions.iter().map(|line| {
        let took = line.begun_at.zip(line.ended_at).map(|(begun, ended)| format!("{} ms", ended.since(begun).as_millis()));
        [
            line.xid.to_string(),
            line.state.to_string(),
            cell(line.name.as_deref()),
            cell(line.reference.as_deref()),
            cell(line.begun_at),
            cell(took),
            cell(line.cause),
        ]
    });
    output::table(["XID", "STATE", "NAME", "REFERENCE", "BEGUN", "TOOK", "CAUSE"], rows)
}

fn position(text: &str) -> Result<ListPosition, String> {
    text.parse().map_err(|_| format!("expected where the last list ended: its `next`, or an xid, got {text:?}"))
}

/// The state of this name, which is one of [`STATES`] because the command line takes no other.
fn named(name: &str) -> State {
    STATES.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(name)).unwrap_or(State::Absent)
}

#[cfg(test)]
mod tests {
    use settee::txn::TransactionSummary;
    use settee_core::Timestamp;
    use settee_core::id::{Generation, ShardId};
    use settee_core::txn::Cause;

    use super::*;

    #[test]
    fn a_transaction_of_which_little_is_known_lines_up_with_the_others() {
        let whole = TransactionSummary {
            xid: Xid::new(ShardId(7), Generation(1), 42, 9),
            state: State::Committed,
            name: Some("transfer".into()),
            reference: Some("E2E-1".into()),
            begun_at: Some(Timestamp::from_millis(0)),
            ended_at: Some(Timestamp::from_millis(12)),
            cause: Some(Cause::Application),
        };
        let tombstone = TransactionSummary {
            xid: Xid::new(ShardId(8), Generation(1), 1, 1),
            state: State::UnknownParked,
            name: None,
            reference: None,
            begun_at: None,
            ended_at: None,
            cause: None,
        };
        let page = TransactionPage { transactions: vec![whole, tombstone], next: None };
        let expected = "\
XID                               STATE           NAME      REFERENCE  BEGUN                 TOOK   CAUSE
0700000100000000002a000000000009  COMMITTED       transfer  E2E-1      1970-01-01T00:00:00Z  12 ms  APPLICATION
08000001000000000001000000000001  UNKNOWN_PARKED  -         -          -                     -      -";
        assert_eq!(lines(&page), expected);
    }

    #[test]
    fn every_state_can_be_asked_for_by_its_name() {
        for state in STATES {
            assert_eq!(named(&state.as_str().to_lowercase()), state);
        }
    }
}
