//! A server that ends while its process goes on, as one that a service starts for itself does.

use settee::mq::control::{CreateTopic, MessageControl};
use settee_core::error::codes;

use super::*;

async fn started(folder: &Path) -> Result<Server, Error> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions { listen, drain: Duration::from_secs(1), ..ServerOptions::default() };
    let server = Server::start(Engines::embedded(folder).await?, options, Arc::new(())).await?;
    server.broker.create_topic(CreateTopic { name: "transfers".to_owned(), partitions: None }).await.map_err(Error::from)?;
    Ok(server)
}

#[tokio::test]
async fn a_server_that_stopped_lets_go_of_its_folder_though_the_process_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        started(folder.path()).await.unwrap().stop().await;
    }
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_no_task_behind_that_holds_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    drop(started(folder.path()).await.unwrap());
    let again = async {
        loop {
            match started(folder.path()).await {
                Ok(_) => return,
                Err(error) => assert_eq!(error.code(), &codes::STORE_LOCKED, "{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("its tasks end");
}

#[tokio::test]
async fn a_server_answers_browsers_under_its_own_names_and_under_no_other_at_either_door() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let allowed_hosts = AllowedHosts::new(["settee.bank.example"]).unwrap();
    let options = ServerOptions { listen, allowed_hosts, drain: Duration::ZERO, trace: false, ..ServerOptions::default() };
    let engines =
        Engines::new(Arc::new(settee_engines::memory::MemoryKv::new()), Arc::new(settee_engines::memory::MemoryLog::new()));
    let server = Server::start(engines, options, Arc::new(())).await.unwrap();
    let port = server.address().port();
    for host in ["settee.bank.example", "Settee.Bank.Example.", "127.0.0.1", "[::1]", "localhost", "10.0.0.7"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            assert_eq!(statuses(&server, Some(&host)).await, [200, 200], "{host}");
        }
    }
    for host in
        ["settee.bank.example.evil.com", "evil.example", "bank.example", "127.0.0.1.evil.com", "settee.bank.example.evil.com:80"]
    {
        assert_eq!(statuses(&server, Some(host)).await, [403, 403], "{host}");
    }
    assert_eq!(statuses(&server, None).await, [403, 403], "no name at all");
}

/// What the console answers, and what a page of the same name is answered that calls.
async fn statuses(server: &Server, host: Option<&str>) -> [u16; 2] {
    let heads = host.map(|host| format!("host: {host}\r\n")).unwrap_or_default();
    let origin = format!("origin: http://{}\r\n", host.unwrap_or_default());
    let page = format!("GET /console/jobs HTTP/1.1\r\n{heads}accept: text/html\r\nconnection: close\r\n\r\n");
    let call =
        format!("POST /rpc/settee.Transactions/stats HTTP/1.1\r\n{heads}{origin}connection: close\r\ncontent-length: 0\r\n\r\n");
    [status(server, &page).await, status(server, &call).await]
}

async fn status(server: &Server, request: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = env::connect(server.address()).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
