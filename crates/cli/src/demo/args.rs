//! The flags of `settee demo`, and what they amount to once every file has been read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::input::{self, AccountRow, Batch, Problems, Shape};
use super::status_report::StatusReport;
use super::topology::ANY_PORT;
use crate::control::address;
use crate::failure::Failure;
use crate::number::number;
use crate::without::Without;

const SAMPLE_ACCOUNTS: &[u8] = include_bytes!("../../../../examples/payments/samples/accounts.csv");
const SAMPLE_TRANSFERS: &[u8] = include_bytes!("../../../../examples/payments/samples/transfers.csv");

/// Transfers that chaos needs: four kills, each with transfers under way and as many again before the next.
const CHAOS_TRANSFERS: usize = 100;

/// The seed of made-up transfers: always the same, so that two machines compare.
const SEED: u64 = 1;

/// Settle a file of transfers over real processes, and prove that no money was lost.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Transfers to settle, CSV or ISO 20022 pain.001; without it the sample
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    transfers: Option<PathBuf>,
    /// Accounts to open first, CSV; without it the sample
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    accounts: Option<PathBuf>,
    /// Make up this many transfers and their accounts
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u32>(1..=5_000_000))]
    generate: Option<u32>,
    /// What made-up transfers look like [default: random]
    #[arg(long, requires = "generate")]
    shape: Option<Shape>,
    /// Kill the server, an account service, payment and notify once each while transfers are open
    #[arg(long)]
    chaos: bool,
    /// Keep everything running after the last transfer, until Ctrl-C
    #[arg(long)]
    console: bool,
    /// Where its server listens, for other commands and the console; without it any free port
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Keep the data in this folder; the same file again moves no money
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Take at most this many transfers a second, by a flow rule
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u32>(1..=u64::from(u32::MAX)))]
    rate: Option<u32>,
    /// Start the server without a part, to see what it carries; may be repeated
    #[arg(long, value_name = "PART")]
    without: Vec<Without>,
    /// How long to wait for what does not come
    #[arg(long, value_name = "SECONDS", default_value_t = 30, allow_negative_numbers = true, value_parser = number::<u64>(1..=3_600))]
    patience: u64,
    /// Write what became of each transfer: FILE.xml as ISO 20022 pain.002, FILE.csv as CSV
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Transfers under way at a time
    #[arg(long, value_name = "N", default_value_t = 64, allow_negative_numbers = true, value_parser = number::<u16>(1..=1_024))]
    concurrency: u16,
    /// Show the logs of every process on stderr
    #[arg(short, long)]
    verbose: bool,
}

/// A demo that can be started.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Accounts to open.
    pub(crate) accounts: Vec<AccountRow>,
    /// Transfers to settle, in order.
    pub(crate) batch: Batch,
    /// Whether processes are killed on the way.
    pub(crate) chaos: bool,
    /// Whether everything keeps running at the end.
    pub(crate) console: bool,
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// The folder to keep; `None`: a temporary one.
    pub(crate) data: Option<PathBuf>,
    /// Whether the report is JSON.
    pub(crate) json: bool,
    /// Transfers that the payment service takes each second.
    pub(crate) rate: Option<u32>,
    /// Parts that the server is started without.
    pub(crate) without: Vec<Without>,
    /// How long what does not come is waited for.
    pub(crate) patience: Duration,
    /// Where what became of each transfer is written.
    pub(crate) status_report: Option<StatusReport>,
    /// Transfers under way at most.
    pub(crate) concurrency: usize,
    /// Whether logs go to stderr.
    pub(crate) verbose: bool,
}

impl Args {
    /// Reads the files and checks what flags say together. Nothing was started when it refuses, and nothing written but, if that
    /// is asked for, the report of a file of transfers that was refused.
    pub(crate) fn plan(self) -> Result<Plan, Failure> {
        let status_report = self.status_report()?;
        let (accounts, batch) = match self.generate {
            Some(count) => input::generate(self.shape.unwrap_or(Shape::Random), count, SEED),
            None => {
                let accounts = read_accounts(self.accounts.as_deref())?;
                let transfers = read_transfers(self.transfers.as_deref());
                (accounts, transfers.map_err(|problems| refused_and_reported(&problems, status_report.as_ref()))?)
            }
        };
        self.check(&batch)?;
        Ok(Plan {
            accounts,
            batch,
            chaos: self.chaos,
            console: self.console,
            listen: self.listen.unwrap_or(ANY_PORT),
            data: self.data,
            json: self.json,
            rate: self.rate,
            without: self.without,
            patience: Duration::from_secs(self.patience),
            status_report,
            concurrency: usize::from(self.concurrency),
            verbose: self.verbose,
        })
    }

    /// What each flag alone does not show.
    fn check(&self, batch: &Batch) -> Result<(), Failure> {
        let transfers = batch.instructions.len();
        if self.chaos && transfers < CHAOS_TRANSFERS {
            let message = format!("--chaos needs {CHAOS_TRANSFERS} transfers, and there are {transfers}");
            return Err(Failure::wrong(message).with_next("settee demo --generate 1000 --chaos"));
        }
        match self.data.as_deref().filter(|data| data.exists() && !data.is_dir()) {
            Some(data) => {
                Err(Failure::wrong(format!("--data {} is not a folder", data.display())).with_next("settee demo --data FOLDER"))
            }
            None => Ok(()),
        }
    }

    fn status_report(&self) -> Result<Option<StatusReport>, Failure> {
        let inputs: Vec<_> = [&self.transfers, &self.accounts].into_iter().flatten().map(PathBuf::as_path).collect();
        self.report.as_deref().map(|file| StatusReport::prepare(file, &inputs)).transpose()
    }
}

fn read_accounts(file: Option<&Path>) -> Result<Vec<AccountRow>, Failure> {
    let rows = match file {
        Some(file) => input::read_accounts(file),
        None => input::parse_accounts(Path::new("accounts.csv"), SAMPLE_ACCOUNTS),
    };
    rows.map_err(|problems| refused(&problems))
}

fn read_transfers(file: Option<&Path>) -> Result<Batch, Problems> {
    match file {
        Some(file) => input::read_transfers(file),
        None => input::parse_transfers(Path::new("transfers.csv"), SAMPLE_TRANSFERS),
    }
}

fn refused(problems: &Problems) -> Failure {
    unusable(problems, "")
}

/// The same, once whoever sent the file has an answer too.
fn refused_and_reported(problems: &Problems, report: Option<&StatusReport>) -> Failure {
    let Some(report) = report else { return refused(problems) };
    match report.refuse(problems) {
        Ok(true) => unusable(problems, &format!("; {} says so", report.file().display())),
        Ok(false) => unusable(problems, "; no report was written, for it does not say which message it is"),
        Err(failure) => unusable(problems, &format!("; {failure}")),
    }
}

fn unusable(problems: &Problems, report: &str) -> Failure {
    let message = format!("{} cannot be used, and nothing of it was{report}", problems.file.display());
    Failure::wrong(message).with_details(problems).with_next("settee demo --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(args: Args) -> String {
        let failure = args.plan().unwrap_err();
        assert_eq!(failure.exit(), 2);
        failure.to_string()
    }

    #[test]
    fn without_flags_it_is_the_sample() {
        let plan = Args { concurrency: 64, ..Args::default() }.plan().unwrap();
        assert_eq!((plan.accounts.len(), plan.batch.instructions.len(), plan.concurrency), (40, 200, 64));
    }

    #[test]
    fn flags_that_make_no_sense_together_are_refused_before_anything_starts() {
        let few = Args { generate: Some(99), chaos: true, ..Args::default() };
        let expected = "--chaos needs 100 transfers, and there are 99; try `settee demo --generate 1000 --chaos`";
        assert_eq!(complaint(few), expected);
        assert!(Args { generate: Some(100), chaos: true, ..Args::default() }.plan().is_ok());
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let file = Args { data: Some(manifest), ..Args::default() };
        assert!(complaint(file).contains("is not a folder"));
        let missing = Args { transfers: Some("nowhere.csv".into()), ..Args::default() };
        assert_eq!(complaint(missing), "nowhere.csv cannot be used, and nothing of it was; try `settee demo --help`");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes a file of transfers and reads the report on it")]
    fn whoever_sent_a_file_that_is_refused_whole_gets_an_answer_if_the_file_said_which_one_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (transfers, report) = (place.path().join("t.xml"), place.path().join("r.xml"));
        let namespace = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03";
        let document = format!("<Document xmlns=\"{namespace}\"><CstmrCdtTrfInitn><GrpHdr><MsgId>M-1</MsgId></GrpHdr>");
        let here = place.path().display();
        let refused = |document: &str| {
            std::fs::write(&transfers, document).unwrap();
            complaint(Args { transfers: Some(transfers.clone()), report: Some(report.clone()), ..Args::default() })
        };
        let unusable = format!("{here}/t.xml cannot be used, and nothing of it was");
        let unnamed =
            format!("{unusable}; no report was written, for it does not say which message it is; try `settee demo --help`");
        assert_eq!(refused("<Document/>"), unnamed);
        assert!(!report.exists());
        assert_eq!(refused(&document), format!("{unusable}; {here}/r.xml says so; try `settee demo --help`"));
        let written = std::fs::read_to_string(&report).unwrap();
        assert!(written.contains("<OrgnlMsgId>M-1</OrgnlMsgId>") && written.contains("<GrpSts>RJCT</GrpSts>"), "{written}");
    }

    #[test]
    fn a_report_that_cannot_be_written_is_refused_before_anything_is_read() {
        let flags = Args { report: Some("nowhere/r.xml".into()), transfers: Some("nowhere.csv".into()), ..Args::default() };
        let expected = "--report nowhere/r.xml cannot be written: nowhere is not a folder that is there; try `mkdir -p nowhere`";
        assert_eq!(complaint(flags), expected);
    }
}
