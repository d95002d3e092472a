//! The programs of the README as a newcomer builds them: verbatim, in a crate outside of this workspace.
#![expect(clippy::disallowed_methods, reason = "a crate is real files, and its programs are processes")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use settee::app::App;
use settee::txn::{State, TransactionControl, TransactionControlClient, TransactionView, Xid};
use settee_sqlx::{Database, DatabaseOptions};
use settee_tests::page::blocks;
use settee_tests::{Program, Street, all_ended, checkout, holder, in_crate, post, source, target, until};
use sqlx::{Row, query};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::SETTEE;

/// What the crate needs beside the README.
const PACKAGE: &str = "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";

/// Somebody who calls the first program through its own trait.
const CALLER: &str = r#"#![deny(warnings)]

#[allow(dead_code)]
#[path = "readme-account.rs"]
mod account;

use std::time::Duration;

use account::{Account, AccountClient};
use settee::Fault;
use settee::app::App;

#[derive(serde::Deserialize)]
struct Config {}

#[settee::main]
async fn main() -> settee::Result<()> {
    let (app, Config {}) = App::from_command_line("caller")?;
    let account: AccountClient = app.client();
    let balance = loop {
        match account.balance("A-1".to_owned()).await {
            // Until the registry has told who serves it.
            Err(Fault::Failed(error)) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(5)).await,
            answered => break answered,
        }
    };
    println!("{balance:?}, {:?}", account.balance("A-2".to_owned()).await);
    Ok(())
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_program_of_the_readme_serves_curl_and_typed_callers() {
    let programs = programs().await;
    let street = Street::server_only().await;
    let account = Program::start(&programs.join("readme-account"), street.server(), &[]).await;

    let path = "/rpc/pay.Account/balance";
    let known = post(account.address(), path, r#"{"account":"A-1"}"#).await;
    assert_eq!((known.status, known.body.as_str()), (200, "1250"));
    let unknown = post(account.address(), path, r#"{"account":"A-2"}"#).await;
    assert_eq!((unknown.status, unknown.json()), (422, json!({ "refused": { "code": "AC01", "refusal": "unknown_account" } })));

    let mut caller = Command::new(programs.join("readme-caller"));
    let said = caller
        .env_remove("SETTEE_SKIP_FILE")
        .env("SETTEE_SERVER", street.server().to_string())
        .output()
        .await
        .expect("the caller starts");
    let text = String::from_utf8_lossy(&said.stdout);
    assert_eq!(text.trim(), "Ok(1250), Err(refused: UnknownAccount)", "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bank_of_the_readme_moves_money_between_its_two_databases_or_not_at_all() {
    let programs = programs().await;
    let street = Street::server_only().await;
    let files = ["account-1", "account-2"].map(|name| street.folder().join(name));
    let mut banks = Vec::new();
    for (file, share) in files.iter().zip(["0/2", "1/2"]) {
        let arguments = ["--set", &format!("database={}", file.display()), "--set", &format!("settee.share={share}")];
        banks.push(Program::start(&programs.join("readme-bank"), street.server(), &arguments).await);
    }
    let [alice, bob] = [Account::open(&street, "alice").await, Account::open(&street, "bob").await];
    assert_ne!(holder("alice"), holder("bob"), "two databases are what this is about");

    let path = "/rpc/bank.Transfer/make";
    let made = until(async || {
        let page = post(banks[0].address(), path, r#"{"from":"alice","to":"bob","minor":250}"#).await;
        (page.status == 200).then_some(page)
    });
    let xid: Xid = serde_json::from_value(made.await.json()).expect("the transaction that moved it");
    let view = ended(&street.caller, xid).await;
    assert_eq!(view.summary.state, State::Committed);
    assert_eq!(view.branches.iter().map(|branch| branch.service.as_str()).collect::<Vec<_>>(), ["bank.Booking"; 2]);
    assert_eq!((alice.balance().await, bob.balance().await), ((99_750, 0), (100_250, 0)));

    let refused = post(banks[1].address(), path, r#"{"from":"alice","to":"bob","minor":99751}"#).await;
    assert_eq!(
        (refused.status, refused.json()),
        (422, json!({ "refused": { "code": "AM04", "refusal": "insufficient_funds" } }))
    );
    all_ended(&street.caller).await;
    assert_eq!((alice.balance().await, bob.balance().await), ((99_750, 0), (100_250, 0)));
}

#[test]
fn the_book_explains_the_programs_of_the_readme_and_no_others() {
    let chapters = ["docs/book/write-a-service.md", "docs/book/move-money.md"].map(|chapter| blocks(&source(chapter)));
    let explained: Vec<_> = chapters.iter().flatten().map(|block| &block.lines).collect();
    for block in blocks(&source("README.md")).iter().filter(|block| block.language == "rust") {
        assert!(explained.contains(&&block.lines), "README.md:{}: no chapter has this program", block.line);
    }
}

/// An account of the bank, as its database has it.
struct Account {
    name: &'static str,
    database: Database,
}

impl Account {
    async fn open(street: &Street, name: &'static str) -> Self {
        let file = street.folder().join(holder(name));
        let database = Database::open(file, DatabaseOptions::default()).await.expect("the bank has made it");
        let mut tx = database.begin().await.expect("nobody holds it for long");
        let opening = query("INSERT INTO accounts (account, minor) VALUES (?, 100000)").bind(name);
        opening.execute(&mut tx).await.expect("the bank has made the table");
        tx.commit().await.expect("a disk with room");
        Self { name, database }
    }

    /// What it holds, and how much of that is held.
    async fn balance(&self) -> (i64, i64) {
        let mut read = self.database.read().await.expect("a database");
        let row = query("SELECT minor, held FROM accounts WHERE account = ?").bind(self.name);
        let row = row.fetch_one(&mut read).await.expect("an account");
        (row.get("minor"), row.get("held"))
    }
}

/// A transaction whose end is known.
async fn ended(caller: &App, xid: Xid) -> TransactionView {
    let control: TransactionControlClient = caller.control();
    until(async || control.show(xid).await.ok().filter(|view| view.summary.ended_at.is_some())).await
}

/// The folder of the programs, built once.
pub(super) async fn programs() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(build).await
}

async fn build() -> PathBuf {
    let folder = TempDir::new().expect("a temporary folder");
    let sources = folder.path().join("src/bin");
    fs::create_dir_all(&sources).expect("a folder");
    let readme = blocks(&source("README.md"));
    let of = |language: &'static str| readme.iter().filter(move |block| block.language == language).map(|block| &block.lines);
    let write = |file: PathBuf, text: String| fs::write(file, text).expect("a file");
    let manifest = of("toml").next().expect("the README names the dependencies");
    write(folder.path().join("Cargo.toml"), PACKAGE.to_owned() + &in_crate(manifest));
    for (name, lines) in ["readme-account.rs", "readme-bank.rs"].iter().zip(of("rust")) {
        write(sources.join(name), format!("#![deny(warnings)]\n{}\n", lines.join("\n")));
    }
    write(sources.join("readme-caller.rs"), CALLER.to_owned());
    // The same versions as here, and the same folder for what is built: nothing is fetched, and little is compiled.
    fs::copy(checkout().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("the lock file of the workspace");
    let target = target(Path::new(SETTEE));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--offline", "--bins"]).current_dir(folder.path());
    cargo.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    let built = cargo.output().await.expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug")
}
