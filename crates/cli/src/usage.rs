//! A command line that is wrong: one line that says what, and the command that was probably meant.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::Cli;
use crate::failure::Failure;
use crate::output;

/// What clap knows of a slip of the hand: where it names the wrong word, and where the one that is nearest.
const SLIPS: [(ContextKind, ContextKind); 3] = [
    (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
    (ContextKind::InvalidArg, ContextKind::SuggestedArg),
    (ContextKind::InvalidValue, ContextKind::SuggestedValue),
];

/// Help goes to stdout as clap has it; an error becomes our one line.
pub(crate) fn explain(error: Error, arguments: &[OsString]) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let printed = output::read_on(error.print()).map_err(Failure::from);
        return printed.map_or_else(|failure| failure.report(false), |_| ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _nobody_reads_it_then = error.print();
        return ExitCode::from(2);
    }
    complaint(error, arguments).report(false)
}

fn complaint(error: Error, arguments: &[OsString]) -> Failure {
    let error = without_hidden(error);
    let next = meant(&error, arguments).unwrap_or_else(|| help_for(arguments));
    Failure::wrong(one_line(&error.to_string())).with_next(next)
}

/// Takes back what clap suggests and no help shows: a command that is not for people.
fn without_hidden(mut error: Error) -> Error {
    let kind = ContextKind::SuggestedSubcommand;
    if let Some(ContextValue::Strings(mut names)) = error.remove(kind) {
        let commands = Cli::command();
        names.retain(|name| commands.find_subcommand(name).is_none_or(|command| !command.is_hide_set()));
        if !names.is_empty() {
            error.insert(kind, ContextValue::Strings(names));
        }
    }
    error
}

/// What clap says before it explains usage, joined.
fn one_line(error: &str) -> String {
    let is_said = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines: Vec<_> = error.lines().map(str::trim).take_while(is_said).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").replace(" tip: ", "; ")
}

/// The command line with the wrong word put right. `None` where clap has no idea, or a shell would not read it back as it was.
fn meant(error: &Error, arguments: &[OsString]) -> Option<String> {
    let known = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.as_str()),
        // The nearest is the last.
        ContextValue::Strings(texts) => texts.last().map(String::as_str),
        _ => None,
    };
    let (wrong, right) = SLIPS.iter().find_map(|(wrong, right)| Some((known(*wrong)?, known(*right)?)))?;
    let typed: Vec<_> =
        arguments.iter().skip(1).map(|word| word.to_str().filter(|word| is_plain(word))).collect::<Option<_>>()?;
    let place = typed.iter().position(|word| *word == wrong)?;
    // A flag that stands there already was meant once.
    let right = (!typed.contains(&right)).then_some(right);
    let words = typed.iter().enumerate().filter_map(|(index, word)| if index == place { right } else { Some(*word) });
    Some(["settee"].into_iter().chain(words).collect::<Vec<_>>().join(" "))
}

/// Whether a shell reads the word as it is written.
pub(crate) fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || "-_./:=,@+".contains(letter))
}

/// The help of the innermost command that was typed.
fn help_for(arguments: &[OsString]) -> String {
    let (mut command, mut path) = (Cli::command(), "settee".to_owned());
    for word in arguments.iter().skip(1) {
        let Some(inner) = command.find_subcommand(word).cloned() else { break };
        path = format!("{path} {}", inner.get_name());
        command = inner;
    }
    format!("{path} --help")
}

#[cfg(test)]
#[path = "usage_test.rs"]
mod tests;
