//! `settee completions`: a script that teaches a shell our commands and flags.
//!
//! Written from the same definitions as `--help`, so it cannot disagree with it. Commands and flags that are hidden stay so.

use std::process::ExitCode;

use clap::{Command, ValueEnum};

use crate::output;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Load it for this session, or put it where your shell looks for such files:
  bash  source <(settee completions bash)
  zsh   settee completions zsh > \"${fpath[1]}/_settee\"
  fish  settee completions fish > ~/.config/fish/completions/settee.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn generator(self) -> clap_complete::Shell {
        match self {
            Self::Bash => clap_complete::Shell::Bash,
            Self::Zsh => clap_complete::Shell::Zsh,
            Self::Fish => clap_complete::Shell::Fish,
        }
    }
}

/// Prints the script for `command`, which is this program.
pub(crate) fn run(args: &Args, command: Command) -> ExitCode {
    output::finish(Ok(script(args.shell, command).trim_end().to_owned()), false)
}

fn script(shell: Shell, command: Command) -> String {
    // Into memory, since the generator panics when a reader goes away (`| head`).
    let mut script = Vec::new();
    clap_complete::generate(shell.generator(), &mut without_hidden(command), "settee", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The generators for bash offer hidden commands and flags like any other.
fn without_hidden(command: Command) -> Command {
    let visible = Command::new(command.get_name().to_owned()).about(command.get_about().cloned().unwrap_or_default());
    let visible = match command.get_version() {
        Some(version) => visible.version(version.to_owned()),
        None => visible,
    };
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    visible.args(arguments).subcommands(commands.cloned().map(without_hidden))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_shell_learns_all_that_is_shown_and_nothing_that_is_hidden() {
        for shell in Shell::value_variants() {
            let script = script(*shell, Cli::command());
            for word in ["server", "demo", "call", "ls", "transactions", "completions", "concurrency", "report", "version"] {
                assert!(script.contains(word), "{shell:?}: {word}");
            }
            for word in ["demo-process", "demo_process", "lifeline"] {
                assert!(!script.contains(word), "{shell:?}: {word}");
            }
        }
    }
}
