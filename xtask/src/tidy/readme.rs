//! A command that the README shows exists. Only names of subcommands are looked at; that they work is for the tests.

use super::{Report, Tree};

const README: &str = "README.md";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let xtask = crate::subcommands();
    for (line, command) in commands(tree.text(README).unwrap_or_default()) {
        match called(command) {
            Some(Called::Xtask(name)) if !xtask.iter().any(|known| known == name) => {
                report.offence_at(README, line, format!("`cargo xtask {name}` does not exist"));
            }
            Some(Called::Settee(name)) if !is_in_cli(tree, name) => {
                report.offence_at(README, line, format!("`settee {name}` does not exist: crates/cli/src does not have the word"));
            }
            _ => {}
        }
    }
}

/// A subcommand of one of our programs, as a shell line calls it.
#[derive(Debug, PartialEq)]
enum Called<'a> {
    Xtask(&'a str),
    Settee(&'a str),
}

/// The shell lines of fenced blocks, with their number.
fn commands(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in markdown.lines().enumerate() {
        let is_fence = line.trim_start().starts_with("```");
        match &mut block {
            None if is_fence => block = Some(Vec::new()),
            Some(lines) if is_fence => {
                found.extend(commands_in(lines));
                block = None;
            }
            Some(lines) => lines.push((index + 1, line.trim())),
            None => {}
        }
    }
    found
}

/// In a block with prompts (`$ `) all other lines are output.
fn commands_in<'a>(block: &[(usize, &'a str)]) -> Vec<(usize, &'a str)> {
    let has_prompt = block.iter().any(|(_, line)| line.starts_with("$ "));
    let lines = block.iter().filter(|(_, line)| !has_prompt || line.starts_with("$ "));
    let commands = lines.flat_map(|(number, line)| {
        let code = line.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
        code.split(['|', ';', '&']).map(|command| (*number, command))
    });
    commands.collect()
}

fn called(command: &str) -> Option<Called<'_>> {
    let is_variable = |word: &&str| word.contains('=');
    let words: Vec<_> = command.split_whitespace().skip_while(is_variable).collect();
    match words.as_slice() {
        ["cargo", "xtask", name, ..] => Some(Called::Xtask(name)),
        ["cargo", "run", rest @ ..] => called_by_run(rest),
        [program, name, ..] if program.rsplit('/').next() == Some("settee") => Some(Called::Settee(name)),
        _ => None,
    }
    .filter(Called::has_name)
}

/// `cargo run … -- NAME`: of `settee`, unless another package or binary is asked for.
fn called_by_run<'a>(words: &[&'a str]) -> Option<Called<'a>> {
    let end = words.iter().position(|word| *word == "--")?;
    let (options, arguments) = (words.get(..end)?, words.get(end + 1..)?);
    let chooses = |option: &&str| ["-p", "--package", "--bin", "--example"].contains(&option.split('=').next().unwrap_or(option));
    let is_other =
        options.iter().any(chooses) && !options.iter().any(|word| word.contains("settee-cli") || word.ends_with("settee"));
    if is_other { None } else { arguments.first().map(|name| Called::Settee(name)) }
}

impl Called<'_> {
    /// Neither an option (`--help`) nor a blank to fill in (`<COMMAND>`).
    fn has_name(&self) -> bool {
        let (Self::Xtask(name) | Self::Settee(name)) = self;
        name.starts_with(|letter: char| letter.is_ascii_lowercase())
    }
}

/// Whether the sources of the binary have the word `name`, as clap shows it or as Rust writes it: `dead-letters`,
/// `dead_letters`, `DeadLetters`.
fn is_in_cli(tree: &Tree, name: &str) -> bool {
    let spellings = [name.to_owned(), name.replace('-', "_"), pascal(name)];
    let sources = tree.rust().filter(|(path, _)| path.starts_with("crates/cli/src/"));
    let mut words = sources.flat_map(|(_, text)| text.split(|letter: char| !letter.is_alphanumeric() && !"_-".contains(letter)));
    words.any(|word| spellings.iter().any(|spelling| spelling == word))
}

fn pascal(name: &str) -> String {
    let capital = |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect::<String>();
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::offences;
    use super::*;

    fn with(readme: &str) -> Vec<String> {
        let cli = "enum Command {\n    Demo(Demo),\n    DeadLetters,\n}\n";
        offences(check, &[(README, readme), ("crates/cli/src/main.rs", cli)])
    }

    #[test]
    fn commands_that_exist_pass() {
        let lines = "cargo run --release -- demo --json\ncargo xtask check && ./target/release/settee dead-letters\nsettee --help\n\
            cargo run -p settee-sim --bin simulate -- any\nLOG=1 settee demo # or nothing\nsettee <COMMAND>\ncargo build";
        assert!(with(&format!("```sh\n{lines}\n```\n")).is_empty());
    }

    #[test]
    fn a_command_that_does_not_exist_is_named_with_its_line() {
        assert_eq!(with("# A\n```\ncargo xtask chekc\n```\n"), ["README.md:3: `cargo xtask chekc` does not exist"]);
        for line in ["cargo run --release --locked -- dmeo", "cargo run -p settee-cli -- dmeo", "true && settee dmeo"] {
            let found = with(&format!("```\n{line}\n```\n"));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(found[0].starts_with("README.md:2: `settee dmeo` does not exist"), "{found:?}");
        }
    }

    #[test]
    fn prose_and_output_are_not_commands() {
        assert!(with("settee dmeo\n").is_empty());
        assert!(with("```console\n$ settee demo\nsettee listens on a port\n```\nsettee dmeo\n").is_empty());
        assert_eq!(with("```console\n$ settee dmeo\nsettee listens\n```\n").len(), 1);
    }
}
