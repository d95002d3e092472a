//! Reading what `strace` saw of a process, and the rule that an acknowledgement follows a sync.
//!
//! ```text
//! request received -> data written to its file -> that file synced, with success -> first byte of the answer
//! ```
//! All of it in the trace's own order: a call counts as done at its return, and as begun at its entry. The traced threads stop at
//! both, so whatever one of them causes comes behind it. Two pure functions: [`calls`] reads the text of
//! `strace -f -y -e trace=`[`TRACED`], [`witness`] judges it.

use std::collections::BTreeMap;
use std::fmt;

/// The system calls to trace.
pub const TRACED: &str = "read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync";

const RECEIVES: &[&str] = &["read", "readv", "recvfrom", "recvmsg"];
const SENDS: &[&str] = &["write", "writev", "sendto", "sendmsg"];
const WRITES: &[&str] = &["write", "writev", "pwrite64", "pwritev"];
const SYNCS: &[&str] = &["fsync", "fdatasync"];

/// One system call on a file or a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    name: String,
    /// What the file descriptor stands for: a path, or `socket:[17]`.
    target: String,
    /// The other arguments, as strace prints them.
    arguments: String,
    /// `None`: it did not return.
    result: Option<i64>,
    /// The line of its entry.
    began: usize,
    /// The line of its return; the end of the trace when there is none.
    ended: usize,
}

/// What the trace shows of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Writes to the file between the request and its answer.
    pub writes: usize,
    /// Syncs of it that succeeded.
    pub syncs: usize,
}

/// Why a trace does not show that an acknowledgement followed a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No request with the mark came in.
    NotReceived,
    /// Nothing was sent on its connection afterwards.
    NotAnswered,
    /// The mark was not written to the file before the answer.
    NotWritten,
    /// A write before the answer has no successful sync between the two.
    NotSynced {
        /// The write's line.
        write: usize,
        /// The answer's line.
        answer: usize,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReceived => out.write_str("no request with this mark was received"),
            Self::NotAnswered => out.write_str("nothing was sent on the connection of the request"),
            Self::NotWritten => out.write_str("the mark was not written to the file before the answer"),
            Self::NotSynced { write, answer } => {
                write!(out, "the write of line {write} has no successful sync before the answer of line {answer}")
            }
        }
    }
}

/// The calls of a trace, in the order in which they began. What is not a call on a file descriptor is left out.
#[must_use]
pub fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in (1..).zip(trace.lines()) {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (line, begun.trim_end()));
        } else if let Some((_, rest)) = text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>")) {
            let begun = unfinished.remove(thread);
            calls.extend(begun.and_then(|(began, begun)| call(&format!("{begun}{rest}"), began, line)));
        } else {
            calls.extend(call(text, line, line));
        }
    }
    let end = trace.lines().count() + 1;
    calls.extend(unfinished.into_values().filter_map(|(began, text)| call(text, began, end)));
    calls.sort_by_key(|call| call.began);
    calls
}

/// `pwrite64(9</data/state.redb>, "..."..., 512, 0) = 512`
fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (_descriptor, rest) = rest.split_once('<')?;
    let (target, rest) = rest.split_once('>')?;
    let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
    let result = result.split(' ').next().and_then(|number| number.parse().ok());
    let (name, target, arguments) = (name.to_owned(), target.to_owned(), arguments.to_owned());
    Some(Call { name, target, arguments, result, began, ended })
}

/// Whether the answer to the request that carries `mark` left only after what it wrote to a file whose path contains `file` was
/// synced. The answer is the first thing sent on the connection of the request after it, so nothing else may be under way there.
///
/// # Errors
/// What is missing.
pub fn witness(calls: &[Call], mark: &str, file: &str) -> Result<Witness, Doubt> {
    let received = calls.iter().find(|call| call.is_one_of(RECEIVES) && call.is_on_socket() && call.carries(mark));
    let received = received.ok_or(Doubt::NotReceived)?;
    let is_answer = |call: &&Call| call.is_one_of(SENDS) && call.target == received.target && call.began > received.ended;
    let answer = calls.iter().find(is_answer).ok_or(Doubt::NotAnswered)?;

    let between = calls.iter().filter(|call| call.began > received.ended && call.began < answer.began);
    let on_file: Vec<_> = between.filter(|call| !call.is_on_socket() && call.target.contains(file)).collect();
    let writes: Vec<_> = on_file.iter().filter(|call| call.is_one_of(WRITES)).collect();
    if !writes.iter().any(|write| write.carries(mark) && write.ended < answer.began) {
        return Err(Doubt::NotWritten);
    }
    let syncs: Vec<_> = on_file.iter().filter(|call| call.is_one_of(SYNCS) && call.result == Some(0)).collect();
    let covers = |sync: &Call, write: &Call| sync.target == write.target && sync.began > write.ended && sync.ended < answer.began;
    match writes.iter().find(|write| !syncs.iter().any(|sync| covers(sync, write))) {
        Some(write) => Err(Doubt::NotSynced { write: write.began, answer: answer.began }),
        None => Ok(Witness { writes: writes.len(), syncs: syncs.len() }),
    }
}

impl Call {
    fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    fn is_on_socket(&self) -> bool {
        self.target.starts_with("socket:") || self.target.starts_with("TCP")
    }

    fn carries(&self, mark: &str) -> bool {
        self.result.is_some_and(|bytes| bytes > 0) && self.arguments.contains(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strace's own words. The sync is seen from two lines, as another thread's call came between.
    const GOOD: &[&str] = &[
        r#"11 recvfrom(12<socket:[17]>, "\0\1 pay mark-1", 4096, 0, NULL, NULL) = 12"#,
        r#"13 pwrite64(9</data/log-1.seg>, "\5 mark-1\0\0"..., 512, 1024) = 512"#,
        r#"13 fdatasync(9</data/log-1.seg> <unfinished ...>"#,
        r#"14 sendto(15<socket:[18]>, "to somebody else", 16, MSG_NOSIGNAL, NULL, 0) = 16"#,
        r#"13 <... fdatasync resumed>)             = 0"#,
        r#"11 sendto(12<socket:[17]>, "\0\2 done", 7, MSG_NOSIGNAL, NULL, 0) = 7"#,
        r#"11 +++ exited with 0 +++"#,
    ];

    fn judged(lines: &[&str]) -> Result<Witness, Doubt> {
        witness(&calls(&lines.join("\n")), "mark-1", "/data/log-")
    }

    fn without(line: usize) -> Vec<&'static str> {
        let mut lines = GOOD.to_vec();
        lines.remove(line);
        lines
    }

    fn with(line: usize, text: &'static str) -> Vec<&'static str> {
        let mut lines = GOOD.to_vec();
        lines[line] = text;
        lines
    }

    #[test]
    fn an_answer_behind_a_sync_is_witnessed() {
        assert_eq!(judged(GOOD), Ok(Witness { writes: 1, syncs: 1 }));
    }

    #[test]
    fn an_answer_without_a_sync_is_refused() {
        let mut lines = without(4);
        lines.remove(2);
        assert_eq!(judged(&lines), Err(Doubt::NotSynced { write: 2, answer: 4 }));
    }

    #[test]
    fn a_sync_proves_nothing_that_failed_or_had_not_returned_or_was_of_another_file() {
        let not_synced = Err(Doubt::NotSynced { write: 2, answer: 6 });
        assert_eq!(judged(&with(4, "13 <... fdatasync resumed>) = -1 EIO (Input/output error)")), not_synced);
        assert_eq!(judged(&with(4, "13 <... fdatasync resumed>) = ?")), not_synced);
        assert_eq!(judged(&with(2, "13 fdatasync(8</data/log-2.seg> <unfinished ...>")), not_synced);
        let mut late = without(4);
        late.push(GOOD[4]);
        assert_eq!(judged(&late), Err(Doubt::NotSynced { write: 2, answer: 5 }));
        let mut early = GOOD.to_vec();
        early.swap(1, 2);
        early.swap(2, 4);
        assert_eq!(judged(&early), Err(Doubt::NotSynced { write: 5, answer: 6 }), "it began before the write had ended");
    }

    #[test]
    fn a_later_write_wants_a_sync_of_its_own() {
        let mut lines = GOOD.to_vec();
        lines.insert(5, r#"13 pwrite64(9</data/log-1.seg>, "the commit itself", 512, 0) = 512"#);
        assert_eq!(judged(&lines), Err(Doubt::NotSynced { write: 6, answer: 7 }));
        lines.insert(6, "13 fsync(9</data/log-1.seg>) = 0");
        assert_eq!(judged(&lines), Ok(Witness { writes: 2, syncs: 2 }));
        lines[5] = r#"13 pwrite64(9</data/log-1.seg>, "not in time" <unfinished ...>"#;
        lines.remove(6);
        assert_eq!(judged(&lines), Err(Doubt::NotSynced { write: 6, answer: 7 }));
    }

    #[test]
    fn a_trace_that_does_not_show_the_operation_is_no_proof() {
        assert_eq!(judged(&without(0)), Err(Doubt::NotReceived));
        assert_eq!(judged(&without(5)), Err(Doubt::NotAnswered));
        assert_eq!(judged(&without(1)), Err(Doubt::NotWritten));
        assert_eq!(
            judged(&with(1, r#"13 pwrite64(9</data/log-1.seg>, "mark-1", 512, 0) = -1 ENOSPC (No space)"#)),
            Err(Doubt::NotWritten)
        );
        assert_eq!(judged(&with(1, r#"13 pwrite64(8</data/state>, "mark-1", 512, 0) = 512"#)), Err(Doubt::NotWritten));
        assert_eq!(judged(&[]), Err(Doubt::NotReceived));
    }
}
