//! The flags of `settee demo`, and what they amount to once every file has been read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::input::{self, AccountRow, Batch, Problems, Shape};
use crate::failure::Failure;
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    generate: Option<u32>,
    /// What made-up transfers look like: random or payroll [default: random]
    #[arg(long, requires = "generate")]
    shape: Option<Shape>,
    /// Kill the server, an account service, payment and notify once each while transfers are open
    #[arg(long)]
    chaos: bool,
    /// Keep everything running after the last transfer, until Ctrl-C
    #[arg(long)]
    console: bool,
    /// Keep the data in this folder; the same file again moves no money
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Take at most this many transfers a second, by a flow rule
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Start the server without a part, to see what it carries; may be repeated
    #[arg(long, value_name = "PART")]
    without: Vec<Without>,
    /// How long to wait for what does not come
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    patience: u64,
    /// Transfers under way at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
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
    /// Transfers under way at most.
    pub(crate) concurrency: usize,
    /// Whether logs go to stderr.
    pub(crate) verbose: bool,
}

impl Args {
    /// Reads the files and checks what flags say together. Nothing was started or written when it refuses.
    pub(crate) fn plan(self) -> Result<Plan, Failure> {
        let (accounts, batch) = match self.generate {
            Some(count) => input::generate(self.shape.unwrap_or(Shape::Random), count, SEED),
            None => (read_accounts(self.accounts.as_deref())?, read_transfers(self.transfers.as_deref())?),
        };
        if self.chaos && batch.instructions.len() < CHAOS_TRANSFERS {
            let message = format!("--chaos needs {CHAOS_TRANSFERS} transfers, and there are {}", batch.instructions.len());
            return Err(Failure::wrong(message).with_next("settee demo --generate 1000 --chaos"));
        }
        if let Some(data) = self.data.as_deref().filter(|data| data.exists() && !data.is_dir()) {
            let message = format!("--data {} is not a folder", data.display());
            return Err(Failure::wrong(message).with_next("settee demo --data FOLDER"));
        }
        Ok(Plan {
            accounts,
            batch,
            chaos: self.chaos,
            console: self.console,
            data: self.data,
            json: self.json,
            rate: self.rate,
            without: self.without,
            patience: Duration::from_secs(self.patience),
            concurrency: usize::from(self.concurrency),
            verbose: self.verbose,
        })
    }
}

fn read_accounts(file: Option<&Path>) -> Result<Vec<AccountRow>, Failure> {
    let rows = match file {
        Some(file) => input::read_accounts(file),
        None => input::parse_accounts(Path::new("accounts.csv"), SAMPLE_ACCOUNTS),
    };
    rows.map_err(|problems| refused(&problems))
}

fn read_transfers(file: Option<&Path>) -> Result<Batch, Failure> {
    let batch = match file {
        Some(file) => input::read_transfers(file),
        None => input::parse_transfers(Path::new("transfers.csv"), SAMPLE_TRANSFERS),
    };
    batch.map_err(|problems| refused(&problems))
}

fn refused(problems: &Problems) -> Failure {
    let message = format!("{} cannot be used, and nothing of it was", problems.file.display());
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
}
