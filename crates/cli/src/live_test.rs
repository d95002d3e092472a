//! The commands against a server in this process, on engines in memory, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use settee::mq::control::CreateTopic;
use settee::mq::{MessageControl, MessageControlClient};
use settee::registry::control::{RegistryControlClient, ServiceView};
use settee::registry::{Instance, PublicationGuard, RegistryClient, RegistryOptions};
use settee::rpc::{Listening, ServerConfig, Services, updates};
use settee::txn::{Begin, Decide, Decision, LeaseXids, TransactionControl, TransactionControlClient, TransactionStats, Xid};
use settee::{Reply, Updates, refuse};
use settee_engines::memory::{MemoryKv, MemoryLog};
use settee_server::{Engines, Server, ServerOptions};

use crate::control::Control;
use crate::failure::Failure;
use crate::{Cli, Command, call, ls, traces, transactions};

/// A port where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

#[settee::refusal]
enum No {
    #[code("AM04")]
    Funds { short_by: u64 },
}

#[settee::service("test.Till")]
trait Till {
    async fn take(&self, amount: u64) -> Reply<u64, No>;
    async fn count(&self, up_to: u64) -> Reply<Updates<u64>>;
}

struct Drawer;

impl Till for Drawer {
    async fn take(&self, amount: u64) -> Reply<u64, No> {
        100_u64.checked_sub(amount).ok_or_else(|| refuse(No::Funds { short_by: amount - 100 }))
    }

    async fn count(&self, up_to: u64) -> Reply<Updates<u64>> {
        let (sender, updates) = updates(4);
        settee::spawn(async move {
            for n in 0..up_to {
                if sender.send(n).await.is_err() {
                    return;
                }
            }
        });
        Ok(updates)
    }
}

async fn server() -> (Server, Control) {
    let engines = Engines::new(Arc::new(MemoryKv::new()), Arc::new(MemoryLog::new()));
    let options = ServerOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        drain: Duration::from_secs(1),
        trace: false,
        ..ServerOptions::default()
    };
    let server = Server::start(engines, options, Arc::new(())).await.unwrap();
    let control = Control::at(server.address());
    (server, control)
}

/// An instance of the till that the registry knows.
async fn published(control: &Control) -> (Listening, PublicationGuard) {
    let services = Arc::new(Services::new().with(TillServer::new(Drawer)));
    let at = ([127, 0, 0, 1], 0).into();
    let listening = Listening::start(at, services, Arc::new(()), ServerConfig::default()).await.unwrap();
    let registry = RegistryClient::start(control.client::<RegistryControlClient>(), RegistryOptions::default());
    let guard = registry.publish("test.Till", Instance::new(listening.address(), "till")).unwrap();
    guard.published().await.unwrap();
    (listening, guard)
}

/// What `settee ARGUMENTS` prints.
async fn settee(server: &str, arguments: &[&str]) -> Result<String, Failure> {
    let all = [&["settee"], arguments, &["--server", server]].concat();
    match Cli::try_parse_from(all).unwrap().command {
        Command::Call(args) => call::answer(&args).await,
        Command::Ls(args) => ls::answer(&args).await,
        Command::Transactions(args) => transactions::answer(&args).await,
        Command::Traces(args) => traces::answer(&args).await,
        other => panic!("{other:?}"),
    }
}

async fn said(control: &Control, arguments: &[&str]) -> String {
    settee(&control.address().to_string(), arguments).await.unwrap()
}

async fn complained(control: &Control, arguments: &[&str]) -> String {
    settee(&control.address().to_string(), arguments).await.unwrap_err().text()
}

async fn committed(control: &Control, reference: &str) -> Xid {
    let client: TransactionControlClient = control.client();
    let range = client.lease(LeaseXids { count: 1 }).await.unwrap();
    let xid = Xid::new(range.shard, range.generation, range.first, 7);
    let (name, application) = ("transfer".to_owned(), "payment".to_owned());
    let begin = Begin { xid, name, reference: Some(reference.into()), timeout_ms: 5_000, application };
    client.begin(begin).await.unwrap();
    client.decide(Decide { xid, decision: Decision::Commit, branches: vec![] }).await.unwrap();
    xid
}

#[tokio::test]
async fn a_transaction_is_found_by_its_reference_and_shown() {
    let (_server, control) = server().await;
    let (wanted, _other) = (committed(&control, "E2E-1").await, committed(&control, "E2E-2").await);
    let list = said(&control, &["transactions", "ls", "--reference", "E2E-1"]).await;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.lines().nth(1).unwrap().starts_with(&format!("{wanted}  COMMITTED  transfer  E2E-1")), "{list}");
    let tree = said(&control, &["transactions", "show", &wanted.to_string()]).await;
    assert!(tree.starts_with(&format!("{wanted} COMMITTED\n├─ transfer, reference E2E-1, begun by payment\n")), "{tree}");
    assert!(tree.contains("decided COMMIT because of APPLICATION"), "{tree}");
}

#[tokio::test]
async fn a_list_that_is_cut_says_how_to_go_on() {
    let (_server, control) = server().await;
    let (older, newer) = (committed(&control, "a").await, committed(&control, "b").await);
    let list = said(&control, &["ls", "transactions", "--limit", "1"]).await;
    let line = |xid: Xid| move |line: &&str| line.starts_with(&xid.to_string());
    assert!(list.lines().any(|text| line(newer)(&text)) && !list.lines().any(|text| line(older)(&text)), "newest first: {list}");
    let next = list.lines().last().unwrap().strip_prefix("there are more: add --after ").unwrap();
    let rest = said(&control, &["ls", "transactions", "--after", next, "--json"]).await;
    let page: settee::txn::TransactionPage = serde_json::from_str(&rest).unwrap();
    assert_eq!((page.transactions.iter().map(|line| line.xid).collect::<Vec<_>>(), page.next), (vec![older], None));
    let by_xid = said(&control, &["ls", "transactions", "--after", &older.min(newer).to_string(), "--json"]).await;
    let page: settee::txn::TransactionPage = serde_json::from_str(&by_xid).unwrap();
    assert_eq!(page.transactions[0].xid, older.max(newer), "an xid alone goes on by xid, as it always did");
}

#[tokio::test]
async fn a_transaction_that_is_not_known_is_no_empty_answer() {
    let (_server, control) = server().await;
    let xid = "0700000100000000002a000000000009";
    let complaint = complained(&control, &["transactions", "show", xid]).await;
    assert!(complaint.contains("code: TXN0001, see docs/operations/errors/TXN0001.md"), "{complaint}");
}

#[tokio::test]
async fn topics_jobs_and_services_are_listed() {
    let (_server, control) = server().await;
    let _held = published(&control).await;
    control
        .client::<MessageControlClient>()
        .create_topic(CreateTopic { name: "transfers".into(), partitions: Some(2) })
        .await
        .unwrap();
    assert!(said(&control, &["ls", "topics"]).await.contains("\ntransfers  running  2           0         -"));
    assert!(said(&control, &["ls", "services"]).await.contains("  till         -      100     published"));
    let services: Vec<ServiceView> = serde_json::from_str(&said(&control, &["ls", "services", "--json"]).await).unwrap();
    assert!(services.iter().any(|service| service.name == "test.Till" && service.instances.len() == 1));
    assert_eq!(said(&control, &["ls", "jobs", "--json"]).await, "[]");
}

#[tokio::test]
async fn a_call_finds_its_instance_through_the_registry() {
    let (_server, control) = server().await;
    let _held = published(&control).await;
    assert_eq!(said(&control, &["call", "test.Till.take", "{\"amount\": 30}"]).await, "70");
    let stats = said(&control, &["call", "settee.Transactions.stats"]).await;
    assert_eq!(serde_json::from_str::<TransactionStats>(&stats).unwrap(), TransactionStats::default());
}

#[tokio::test]
async fn a_refusal_is_shown_as_one() {
    let (server, control) = server().await;
    let _held = published(&control).await;
    let at = server.address().to_string();
    let error = settee(&at, &["call", "test.Till.take", "{\"amount\": 130}"]).await.unwrap_err();
    assert_eq!(error.exit(), 3);
    assert_eq!(error.text(), "refused: AM04, by test.Till.take; that is final\n  {\"funds\":{\"short_by\":30}}");
    assert_eq!(error.json().to_string(), r#"{"refused":{"code":"AM04","refusal":{"funds":{"short_by":30}}}}"#);
}

#[tokio::test]
async fn whoever_mistypes_a_name_reads_the_ones_there_are() {
    let (_server, control) = server().await;
    let _held = published(&control).await;
    let here = format!(" --server {}", control.address());
    let service = complained(&control, &["call", "test.Til.take", "{}"]).await;
    let expected = format!(
        "error: call test.Til.take: the server at {} knows no instance of test.Til\n  code: RPC0003, see docs/operations/errors/RPC0003.md\n  \
         did it happen: no, and it will not later\n  services that are: test.Till\n  the server's own are called settee.*\n  \
         try: settee call test.Till.take{here}",
        control.address()
    );
    assert_eq!(service, expected);
    let method = complained(&control, &["call", "test.Till.tak", "{}"]).await;
    assert!(method.starts_with("error: find method \"tak\" of test.Till: it has take, count\n  code: RPC0007, see docs/operations/errors/RPC0007.md\n  did it happen: no"), "{method}");
    assert!(method.ends_with(&format!("try: settee call test.Till.take{here}")), "{method}");
    let own = complained(&control, &["call", "settee.Transaction.stats"]).await;
    assert!(own.contains("RPC0006") && own.ends_with(&format!("try: settee call settee.Transactions.stats{here}")), "{own}");
    let argument = complained(&control, &["call", "test.Till.take", "{\"amuont\": 1}"]).await;
    assert!(
        argument.starts_with("error: read the arguments of test.Till.take: decode messagepack body: missing field `amount`"),
        "{argument}"
    );
    assert!(argument.ends_with(&format!(r#"try: settee call test.Till.take '{{"amount":1}}'{here}"#)), "{argument}");
}

#[tokio::test]
async fn what_to_type_next_is_for_the_server_and_the_instance_that_were_asked() {
    let (_server, control) = server().await;
    let (listening, _guard) = published(&control).await;
    let (here, instance) = (format!(" --server {}", control.address()), listening.address().to_string());
    let flags = ["--route", "A 1", "--instance", &instance, "--timeout", "5s"];
    let call = complained(&control, &[&["call", "test.Till.tak"], &flags[..]].concat()).await;
    let same = format!("try: settee call test.Till.take --route 'A 1' --instance {instance} --timeout 5000ms{here}");
    assert!(call.ends_with(&same), "{call}");
    let nobody = complained(&control, &["call", "some.Thing.else"]).await;
    assert!(nobody.ends_with(&format!("try: settee ls services{here}")), "{nobody}");
    let job = complained(&control, &["call", "settee.Jobs.pause", "{\"name\":\"reconcil\"}"]).await;
    assert!(job.ends_with(&format!("try: settee ls jobs{here}")), "{job}");
    let xid = "0700000100000000002a000000000009";
    let transaction = complained(&control, &["transactions", "show", xid]).await;
    assert!(transaction.ends_with(&format!("try: settee transactions ls{here}")), "{transaction}");
    let trace = said(&control, &["traces", "show", xid]).await;
    assert!(trace.ends_with(&format!("the latest are shown by `settee traces ls{here}`")), "{trace}");
}

#[tokio::test]
async fn a_stream_without_follow_says_what_to_add() {
    let (_server, control) = server().await;
    let _held = published(&control).await;
    let complaint = complained(&control, &["call", "test.Till.count", "{\"up_to\": 3}"]).await;
    let expected = format!(r#"try: settee call test.Till.count '{{"up_to":3}}' --follow --server {}"#, control.address());
    assert!(complaint.ends_with(&expected), "{complaint}");
}

#[tokio::test]
async fn whoever_finds_no_server_learns_where_it_was_looked_for_and_how_to_start_one() {
    let error = settee(NOBODY, &["ls", "services"]).await.unwrap_err();
    let text = error.text();
    assert!(text.contains("code: RPC0005"), "{text}");
    let notes = "  looked for a settee server at 127.0.0.1:1; another is named by --server ADDR or SETTEE_SERVER\n  \
                 start one with: settee server --listen 127.0.0.1:1";
    assert!(text.ends_with(notes), "{text}");
    let called = settee(NOBODY, &["call", "test.Till.take"]).await.unwrap_err();
    assert!(called.text().ends_with(notes));
    assert_eq!((error.exit(), called.exit()), (1, 1));
}
