//! `settee call`: one call from the command line, to an instance that the registry knows or to the server itself.
//!
//! The arguments are one JSON object, sent as MessagePack like those of any caller. Left out: schemas. What the service makes
//! of the arguments is its own business, and its error says what it did not understand.

mod dynamic;
mod find;
mod hint;
mod input;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use settee::rpc::{CallOptions, Channel, MethodDescriptor, RouteKey};
use settee::{Fault, Refusal, Updates};

use self::dynamic::{AnyRefusal, AnyValue};
use self::input::{Arguments, Target};
use crate::control::{Control, ServerArgs, address, within};
use crate::failure::Failure;
use crate::output;

/// Call a method of a service.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  settee call settee.Transactions.stats
  settee call pay.Account.find '{\"account\":\"A-1\"}' --route A-1
  settee call --follow settee.Registry.subscribe '{\"service\":\"pay.Account\"}'")]
pub(crate) struct Args {
    /// The service and its method, such as `pay.Account.find`; `settee.*` is served by the server itself.
    #[arg(value_name = "SERVICE.METHOD")]
    target: Target,
    /// The arguments by name, as one JSON object.
    #[arg(value_name = "JSON", default_value = "{}", hide_default_value = true)]
    arguments: Arguments,
    /// How long it may take, such as `500ms` or `3s`; at most `1h`.
    #[arg(long, value_name = "TIME", default_value = input::TIMEOUT, allow_hyphen_values = true, value_parser = input::duration)]
    timeout: Duration,
    /// Only ask an instance that holds this routing key, such as an account.
    #[arg(long, value_name = "KEY")]
    route: Option<String>,
    /// Only ask the instance at this address.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    instance: Option<SocketAddr>,
    /// The method answers with a stream of updates: print each on a line of its own, until it ends.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command to its end.
pub(crate) async fn run(args: Args) -> ExitCode {
    if args.follow {
        return match follow(&args).await.map_err(Failure::of_a_call) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(args.server.json),
        };
    }
    output::finish(answer(&args).await, args.server.json)
}

/// The value that the method answers with, as JSON.
pub(crate) async fn answer(args: &Args) -> Result<String, Failure> {
    let value = within(args.timeout, value(args)).await.map_err(Failure::of_a_call)?;
    if output::is_terminal() { output::pretty(&value) } else { output::compact(&value) }
}

async fn value(args: &Args) -> Result<AnyValue, Failure> {
    let channel = channel(args).await?;
    let method = descriptor(&args.target);
    let reply = channel.call::<_, AnyValue, AnyRefusal>(&method, &args.arguments, options(args)).await;
    reply.map_err(|fault| faulted(args, fault))
}

/// Prints updates until the stream ends, or nobody reads them any more. The timeout is for the first answer only.
async fn follow(args: &Args) -> Result<(), Failure> {
    let mut updates: Updates<AnyValue> = within(args.timeout, async {
        let channel = channel(args).await?;
        let method = descriptor(&args.target);
        let reply = channel.stream::<_, AnyValue, AnyRefusal>(&method, &args.arguments, options(args)).await;
        reply.map_err(|fault| faulted(args, fault))
    })
    .await?;
    while let Some(update) = updates.next().await {
        if !output::print(&output::compact(&update?)?)? {
            break;
        }
    }
    Ok(())
}

async fn channel(args: &Args) -> Result<Channel, Failure> {
    let control = Control::at(args.server.server);
    if args.target.is_control() {
        return Ok(control.channels().channel(&args.target.service));
    }
    find::channel(&control, args).await
}

fn options(args: &Args) -> CallOptions {
    let route = args.route.as_deref().map(RouteKey::new);
    CallOptions { route, instance: args.instance, timeout: Some(args.timeout), ..CallOptions::default() }
}

/// Nothing is known of the method, so it counts as one that may not be sent twice. Its name lives as long as this process.
fn descriptor(target: &Target) -> MethodDescriptor {
    MethodDescriptor::new(Box::leak(target.method.clone().into_boxed_str()))
}

fn faulted(args: &Args, fault: Fault<AnyRefusal>) -> Failure {
    let error = match fault {
        Fault::Refused(refusal) => {
            let (method, code) = (args.target.to_string(), refusal.code().to_owned());
            return Failure::refused(method, code, refusal.into_value());
        }
        Fault::Failed(error) => error,
    };
    let hints = hint::of(args, &error);
    let failed = if args.target.is_control() { Control::at(args.server.server).failed(error) } else { error.into() };
    hints.into_iter().fold(failed, Failure::with_note)
}
