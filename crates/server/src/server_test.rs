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
