//! Small calls between two processes: calls for each second of processor time of both, beside a raw framed echo.
//!
//! ```text
//! registry   a settee server on memory engines; its time is not counted
//! echo       an App that serves bench.Echo                 core 0        raw_echo
//! caller     an App with 32 callers on one connection      core 1        raw_caller
//! ```
//! Both ends are what a user would write: `App`, a `#[service]` trait, the default filters, spans recorded. The raw pair sends the
//! very bytes that settee's pair sends, cuts frames by their lengths, and answers all frames of one read with one write.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the floor is bare tokio")]

mod capture;
mod raw;
mod service;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use settee_benches::command::{Options, main as bench};
use settee_benches::machine::core_for;
use settee_benches::peer::Peer;
use settee_benches::report::{Figure, Figures, Target};
use settee_benches::rounds::take_turns;

/// Calls under way on the one connection.
pub(crate) const IN_FLIGHT: usize = 32;
/// Bytes of the argument and of the answer.
pub(crate) const PAYLOAD_BYTES: usize = 16;
/// One measurement of one side.
pub(crate) const TURN: Duration = Duration::from_secs(1);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let parts: &[settee_benches::command::Part] = &[
        ("registry", |_| service::registry()),
        ("echo", service::echo),
        ("caller", service::caller),
        ("raw_echo", raw::echo),
        ("raw_caller", raw::caller),
    ];
    bench("rpc_echo", measure, parts)
}

fn measure(options: &Options) -> anyhow::Result<Figures> {
    let (_registry, registry) = Peer::start("registry", None, &[])?;
    let (mut echo, address) = Peer::start("echo", Some(core_for(0)), &[&registry])?;
    let (mut caller, _) = Peer::start("caller", Some(core_for(1)), &[&registry])?;
    let frames = capture::frames(address.parse()?)?;
    let (request, answer) = (hex(&frames.request), hex(&frames.answer));
    let (mut raw_echo, raw_address) = Peer::start("raw_echo", Some(core_for(0)), &[&request, &answer])?;
    let (mut raw_caller, _) = Peer::start("raw_caller", Some(core_for(1)), &[&raw_address, &request])?;
    let [calls, raw_calls] = take_turns(
        options.rounds,
        [
            Box::new(|| calls_per_cpu_second(&mut caller, &mut echo)),
            Box::new(|| calls_per_cpu_second(&mut raw_caller, &mut raw_echo)),
        ],
    )?;
    let figure = Figure::new("rpc_echo.per_cpu_second", "calls/cpu-s", &calls).over_floor(&raw_calls);
    let (request, answer) = (frames.request.len(), frames.answer.len());
    Ok(Figures::default()
        .with(figure.target(Target::RatioAtLeast(0.6)))
        .note(format!(
            "{PAYLOAD_BYTES} B, {IN_FLIGHT} in flight on one connection, frames of {request} B there and {answer} B back"
        ))
        .note("processor time of caller and callee, each on a core of its own; App, default filters, spans recorded"))
}

/// Lets `caller` call for a while, and divides what it got by the time that both have used.
fn calls_per_cpu_second(caller: &mut Peer, callee: &mut Peer) -> anyhow::Result<f64> {
    let before = caller.processor_time()? + callee.processor_time()?;
    let calls: f64 = caller.ask("call")?.parse().context("read the number of calls")?;
    let used = caller.processor_time()? + callee.processor_time()? - before;
    Ok(calls / used.as_secs_f64())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
