//! The other processes of a bench: the same program in another part, asked line by line over its stdin and stdout.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::machine;

/// A process that plays a part, until it is dropped.
pub struct Peer {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts this program in another part, on `core` if one is named, and waits for its first line.
    ///
    /// # Errors
    /// It could not be started, or ended without a word.
    pub fn start(part: &str, core: Option<usize>, told: &[&str]) -> anyhow::Result<(Self, String)> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.args(["--part", part]);
        command.args(core.map(|core| format!("--core={core}"))).arg("--").args(told);
        Self::spawn(command).with_context(|| format!("start the part {part}"))
    }

    /// Starts `command`, which answers as a part does, and waits for its first line.
    ///
    /// # Errors
    /// It could not be started, or ended without a word.
    pub fn spawn(mut command: Command) -> anyhow::Result<(Self, String)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().context("its stdout is a pipe")?);
        let questions = child.stdin.take();
        let mut peer = Self { child, questions, answers };
        let first = peer.answer()?;
        Ok((peer, first))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The process has ended.
    pub fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        self.tell(question)?;
        self.answer()
    }

    /// Asks without waiting: for parts that work at the same time.
    ///
    /// # Errors
    /// The process has ended.
    pub fn tell(&mut self, question: &str) -> anyhow::Result<()> {
        let questions = self.questions.as_mut().context("its stdin is open")?;
        writeln!(questions, "{question}").context("ask")
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// The process has ended.
    pub fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line).context("read an answer")? == 0 {
            bail!("the process has ended");
        }
        Ok(line.trim_end().to_owned())
    }

    /// The processor time that it has used; its part answers by [`serve`].
    ///
    /// # Errors
    /// The process has ended.
    pub fn processor_time(&mut self) -> anyhow::Result<Duration> {
        Ok(Duration::from_nanos(self.ask(PROCESSOR_TIME)?.parse()?))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL), waits until it is gone, and returns what it had said and nobody had read: whole lines only.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn kill(mut self) -> anyhow::Result<Vec<String>> {
        self.child.kill().context("kill a part")?;
        self.child.wait().context("wait for a part")?;
        let mut rest = String::new();
        self.answers.read_to_string(&mut rest).context("read the last answers")?;
        Ok(rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect())
    }
}

impl Drop for Peer {
    /// A part ends when its stdin does. One that does not is killed, so that no bench leaves a process behind.
    fn drop(&mut self) {
        drop(self.questions.take());
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

const PROCESSOR_TIME: &str = "processor_time";

/// Answers questions until whoever asks is gone: those about processor time itself, the others with `answer`. Blocks its thread.
///
/// # Errors
/// A question that `answer` does not know, or the first answer that failed.
pub fn serve(mut answer: impl FnMut(&str) -> Option<anyhow::Result<String>>) -> anyhow::Result<()> {
    for question in std::io::stdin().lines() {
        match question?.as_str() {
            PROCESSOR_TIME => say(machine::processor_time()?.as_nanos())?,
            other => say(answer(other).with_context(|| format!("the question {other:?} is not known"))??)?,
        }
    }
    Ok(())
}

/// Says one line to whoever started this part.
///
/// # Errors
/// Nobody listens any more.
pub fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
