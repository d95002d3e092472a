//! `--report`: what became of every transfer, for whoever sent the file: ISO 20022 `pain.002`, or CSV.
//!
//! ```text
//! prepare: can the file be written?     nothing was started yet
//!   answer, or refuse                   once: temporary file beside it, sync, rename, sync of the folder
//! ```
//! A reader of the file sees the old report or the new one, never half of one. A run that is interrupted writes none: its transfers
//! are not all known, and the same file again on the same data tells.
#![expect(clippy::disallowed_methods, reason = "process code: the user's own file, outside of everything that is simulated")]

mod pain002;
mod rows;
mod status;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use settee::Timestamp;
use settee_core::env;

use super::driver::Answer;
use super::file;
use super::input::{Batch, Original, Problems};
use crate::failure::Failure;

/// Where the report goes, and as what.
#[derive(Debug)]
pub(crate) struct StatusReport {
    file: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pain002,
    Csv,
}

/// What a report says of itself.
struct Header {
    /// `MsgId`: unique, at most 35 characters.
    message_id: String,
    /// When it was made.
    created: Timestamp,
}

/// What a report answers.
enum Content<'a> {
    /// A file that was accepted, with what became of each of its transfers.
    Settled { batch: &'a Batch, answers: &'a [Answer] },
    /// A file of which nothing was used.
    Refused { original: &'a Original, problems: &'a Problems },
}

impl StatusReport {
    /// Finds out whether a report can be written to `file`, which is none of the `inputs`.
    ///
    /// # Errors
    /// Wrong usage, in words. Nothing was written.
    pub(crate) fn prepare(file: &Path, inputs: &[&Path]) -> Result<Self, Failure> {
        let wrong = |reason: String| Failure::wrong(format!("--report {} {reason}", file.display()));
        let kind = Kind::of(file).map_err(|reason| wrong(reason).with_next("settee demo --report FILE.xml"))?;
        let folder = folder_of(file);
        if !folder.is_dir() {
            let reason = format!("cannot be written: {} is not a folder that is there", folder.display());
            return Err(wrong(reason).with_next(format!("mkdir -p {}", folder.display())));
        }
        if file.is_dir() {
            return Err(wrong("is a folder".into()).with_next("settee demo --report FILE.xml"));
        }
        if let Some(input) = inputs.iter().find(|input| is_same(input, file)) {
            let reason = format!("would replace what is read, {}", input.display());
            return Err(wrong(reason).with_next("settee demo --report OTHER_FILE"));
        }
        // The only way to know is to try: rights, mounts and quotas are many.
        let cannot = |error| wrong(format!("cannot be written: {error}")).with_next("settee demo --report OTHER_FILE");
        tempfile::tempfile_in(folder).map_err(cannot)?;
        Ok(Self { file: file.to_owned(), kind })
    }

    /// Where it goes.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Reports on every transfer of `batch`: `sent` is what became of those that were sent, in order.
    ///
    /// # Errors
    /// The file could not be written; an earlier one is as it was.
    pub(crate) fn answer(&self, batch: &Batch, sent: Vec<Answer>) -> Result<(), Failure> {
        let answers = file::answers_of_all(batch, sent);
        self.write(&Content::Settled { batch, answers: &answers })
    }

    /// Reports that nothing of a file was used; `false` if it never said which message it is, so that there is nothing to answer.
    ///
    /// # Errors
    /// As [`StatusReport::answer`].
    pub(crate) fn refuse(&self, problems: &Problems) -> Result<bool, Failure> {
        let Some(original) = &problems.original else { return Ok(false) };
        self.write(&Content::Refused { original, problems }).map(|()| true)
    }

    fn write(&self, content: &Content<'_>) -> Result<(), Failure> {
        let written = replace(&self.file, |out| match self.kind {
            Kind::Pain002 => pain002::write(out, &Header::now(), content),
            Kind::Csv => rows::write(out, content),
        });
        written.map_err(|error| Failure::failed(format!("write the report {}: {error}", self.file.display())))
    }
}

impl Kind {
    fn of(file: &Path) -> Result<Self, String> {
        let extension = file.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
            Some("xml") => Ok(Self::Pain002),
            Some("csv") => Ok(Self::Csv),
            _ => Err("ends neither in .xml (ISO 20022 pain.002) nor in .csv".into()),
        }
    }
}

impl Header {
    fn now() -> Self {
        // Whole seconds, as everybody writes them.
        let seconds = env::wall_clock().millis().div_euclid(1_000);
        let created = Timestamp::from_millis(seconds * 1_000);
        Self { message_id: format!("{:032x}", env::random_u128()), created }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Puts what `write` writes in the place of `file`, all of it or nothing.
fn replace(file: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(file);
    // As any program would make it: the user's umask decides who reads it.
    let as_usual = Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new().prefix(".settee-report-").permissions(as_usual).tempfile_in(folder)?;
    let mut out = BufWriter::new(temporary);
    write(&mut out)?;
    let temporary = out.into_inner()?;
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod schema_test;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::demo::input::parse_transfers;

    fn refusal(file: &Path, inputs: &[&Path]) -> String {
        let failure = StatusReport::prepare(file, inputs).unwrap_err();
        assert_eq!(failure.exit(), 2);
        failure.to_string()
    }

    fn batch() -> Batch {
        parse_transfers(Path::new("t"), b"id,debtor,creditor,amount,currency,text\n1,a,b,1,EUR,\n").unwrap()
    }

    #[test]
    fn a_report_that_could_not_be_written_at_the_end_is_refused_at_the_start() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir(at("folder.xml")).unwrap();
        fs::write(at("t.csv"), "").unwrap();
        let here = place.path().display();
        let neither = "ends neither in .xml (ISO 20022 pain.002) nor in .csv; try `settee demo --report FILE.xml`";
        for name in ["report", "report.txt", "report.xml.gz", ".xml"] {
            assert_eq!(refusal(&at(name), &[]), format!("--report {here}/{name} {neither}"));
        }
        let missing = format!("--report {here}/no/r.xml cannot be written: {here}/no is not a folder that is there");
        assert_eq!(refusal(&at("no/r.xml"), &[]), format!("{missing}; try `mkdir -p {here}/no`"));
        let folder = format!("--report {here}/folder.xml is a folder; try `settee demo --report FILE.xml`");
        assert_eq!(refusal(&at("folder.xml"), &[]), folder);
        let same = refusal(&at("folder.xml/../t.csv"), &[Path::new("a.csv"), &at("t.csv")]);
        assert!(same.ends_with(&format!("would replace what is read, {here}/t.csv; try `settee demo --report OTHER_FILE`")));
        let unwritable = refusal(Path::new("/proc/r.xml"), &[]);
        assert!(unwritable.starts_with("--report /proc/r.xml cannot be written: "), "{unwritable}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "finding out leaves nothing behind");
    }

    #[test]
    fn a_report_replaces_the_last_one_whole_or_leaves_it_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("Report.CSV");
        fs::write(&file, "the last one").unwrap();
        let broken = replace(&file, |out| out.write_all(b"half").and(Err(io::Error::other("full"))));
        assert_eq!(broken.unwrap_err().to_string(), "full");
        assert_eq!(fs::read_to_string(&file).unwrap(), "the last one");

        let report = StatusReport::prepare(&file, &[]).unwrap();
        report.answer(&batch(), vec![Answer::Unknown]).unwrap();
        assert!(fs::read_to_string(&file).unwrap().contains("\r\n1,PDNG,"));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_never_said_what_it_is_gets_no_answer() {
        let place = tempfile::tempdir().unwrap();
        let report = StatusReport::prepare(&place.path().join("r.xml"), &[]).unwrap();
        let refused = |bytes: &[u8]| report.refuse(&parse_transfers(Path::new("t"), bytes).unwrap_err()).unwrap();
        assert!(!refused(b"<Document/>"));
        assert!(!report.file().exists());
        assert!(refused(b"not,the,header\n"), "a CSV file has no name, and is known by being the one that was asked about");
        assert!(report.file().exists());
    }
}
