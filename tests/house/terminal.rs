//! A shell that a page is typed into: one process for the whole page, so that `cd`, `export` and `$?` are what a reader has.
//!
//! The shell leads a process group of its own, and what it started goes with it: when the terminal is closed, and also when this
//! process dies before it can close it.
#![expect(clippy::disallowed_methods, reason = "a shell and its files are no part of what is simulated")]

use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

/// How long one command may take: some of them build a crate first.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at what a program that goes on running has said.
const LOOK: Duration = Duration::from_millis(10);

/// What ends the output of a command. No program says it.
const END: &str = "--- the command has ended with";

/// An open terminal.
pub(crate) struct Terminal {
    shell: Child,
    typed: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// For what programs say that go on running.
    folder: PathBuf,
    running: usize,
    is_open: bool,
}

/// What a command said, and what it exited with.
#[derive(Debug)]
pub(crate) struct Said {
    /// Standard output and standard error, as they came.
    pub lines: Vec<String>,
    /// The exit code.
    pub exit: i32,
}

impl Terminal {
    /// Opens a terminal in `place`, which finds programs in `bin` before those of the machine. What programs say that go on
    /// running is kept in `folder`.
    ///
    /// # Panics
    /// When the machine has no shell.
    #[must_use]
    pub(crate) fn open(place: &Path, bin: &Path, folder: &Path, variables: &[(&str, String)]) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.current_dir(place).process_group(0).kill_on_drop(true);
        command.env("PATH", format!("{}:{path}", bin.display())).envs(variables.iter().map(|(name, value)| (name, value)));
        // To a service, whatever begins like its own settings is one; this variable is for the tests.
        command.env_remove("SETTEE_SKIP_FILE");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let typed = shell.stdin.take().expect("stdin is a pipe");
        let said = BufReader::new(shell.stdout.take().expect("stdout is a pipe")).lines();
        Self { shell, typed, said, folder: folder.to_owned(), running: 0, is_open: false }
    }

    /// Types a command and waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub(crate) async fn run(&mut self, command: &str) -> Said {
        // A shell whose terminal is gone reads the end of its input, and ends; 0 is its whole group.
        let first = if std::mem::replace(&mut self.is_open, true) { "" } else { "trap 'kill -s KILL 0' EXIT\n" };
        // `$?` of the next command is what this one left.
        let script = format!(
            "{first}{{ {command}\n}} </dev/null 2>&1\nsettee_status=$?; printf '\\n%s %d\\n' '{END}' $settee_status; (exit $settee_status)\n"
        );
        self.typed.write_all(script.as_bytes()).await.expect("the shell reads");
        let ended = tokio::time::timeout(PATIENCE, self.listen()).await;
        ended.unwrap_or_else(|_| panic!("`{command}` did not end within {PATIENCE:?}"))
    }

    async fn listen(&mut self) -> Said {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let line = self.said.next_line().await.expect("what is said is text").expect("the shell lives");
            if let Some(exit) = line.strip_prefix(END) {
                lines.pop_if(|last| last.is_empty());
                return Said { lines, exit: exit.trim().parse().expect("an exit code") };
            }
            lines.push(line);
        }
    }

    /// Types a command that goes on running, and waits until `enough` is content with what it said.
    ///
    /// # Panics
    /// When it says something else.
    pub(crate) async fn keep_running(&mut self, command: &str, enough: impl Fn(&[String]) -> bool) {
        self.running += 1;
        let file = |what: &str| self.folder.join(format!("{what}-{}", self.running));
        let (said, ended) = (file("said"), file("ended"));
        let keeping = format!("{{ {{ {command}\n}} >'{}' 2>&1; : >'{}'; }} &", said.display(), ended.display());
        self.run(&keeping).await;
        let give_up = Instant::now() + PATIENCE;
        loop {
            // Looked at in this order: what ended says nothing more.
            let (has_ended, text) = (ended.exists(), std::fs::read_to_string(&said).unwrap_or_default());
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if enough(&lines) {
                return;
            }
            assert!(!has_ended, "`{command}` ended, and said:\n{text}");
            assert!(Instant::now() < give_up, "`{command}` goes on running, and said:\n{text}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(group) = self.shell.id() else { return };
        // `kill` is part of every shell, and on few machines a program. Shells agree on this spelling.
        let kill = format!("kill -s KILL -- -{group}");
        let killed = Blocking::new("sh").args(["-c", &kill]).status();
        // A story that fails already must say why it does.
        assert!(std::thread::panicking() || killed.is_ok_and(|status| status.success()), "the programs of a page go on running");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::until;

    async fn is_gone(process: &str) {
        let alive = format!("kill -0 {process} 2>/dev/null");
        until(async || (!Blocking::new("sh").args(["-c", &alive]).status().unwrap().success()).then_some(())).await;
    }

    #[tokio::test]
    async fn nothing_goes_on_running_when_the_terminal_is_closed_or_its_owner_dies() {
        for owner_dies in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut terminal = Terminal::open(folder.path(), folder.path(), folder.path(), &[]);
            terminal.keep_running("sh -c 'echo $$; exec sleep 600'", |said| said.len() == 1).await;
            let process = terminal.run("cat said-1").await.lines.concat();
            if owner_dies {
                // What the operating system does with the pipes of a dead process; the shell is left to itself.
                let Terminal { typed, .. } = &mut terminal;
                typed.shutdown().await.unwrap();
                drop(std::mem::replace(typed, stdin_of_nobody()));
                is_gone(&process).await;
                std::mem::forget(terminal);
            } else {
                drop(terminal);
                is_gone(&process).await;
            }
        }
    }

    fn stdin_of_nobody() -> ChildStdin {
        let mut nobody = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        nobody.stdin.take().unwrap()
    }

    #[tokio::test]
    async fn a_command_finds_what_the_one_before_it_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::open(folder.path(), folder.path(), folder.path(), &[("GREETING", "hello".into())]);
        let left = terminal.run("mkdir a; cd a; export WHOM=you; printf unfinished; exit_with() { return 3; }; exit_with").await;
        assert_eq!((left.lines, left.exit), (vec!["unfinished".to_owned()], 3));
        let found = terminal.run("echo $? $GREETING $WHOM; basename $PWD; echo trouble >&2").await;
        assert_eq!((found.lines.join("|").as_str(), found.exit), ("3 hello you|a|trouble", 0));
    }
}
