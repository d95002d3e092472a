//! The applications: the example services as their binaries assemble them, on nodes that fail.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use settee::Error;
use settee::app::App;
use settee::config::Settings;
use settee_core::env;
use settee_payments::{account, notify, payment};

use super::plant::{self, Plant};
use super::stage::Stage;
use super::{agency, books, sql};
use crate::node::{Boot, Node};
use crate::world::Phase;

/// One life of an application in so many ends by an orderly stop, as in a rolling restart.
const ORDERLY: usize = 4;

/// The application that keeps its last good lists on disk, as all of the demo do; the others of a seed begin with none.
const KEEPS_LISTS: &str = "payment";

/// When such a life ends, in seconds.
const ORDERLY_AFTER: (usize, usize) = (4, 25);

/// Adds a node that runs an application; a supervisor starts it again when it ends.
pub(super) fn add<B, F>(stage: &Arc<Stage>, node: &str, name: &'static str, share: Option<&'static str>, build: B) -> Node
where
    B: Fn(App, Arc<Stage>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<App, Error>> + Send + 'static,
{
    let world = stage.world.clone();
    let stage = stage.clone();
    world.server(node, move |boot| live(stage.clone(), boot, name, share, build.clone()))
}

async fn live<B, F>(stage: Arc<Stage>, boot: Boot, name: &'static str, share: Option<&'static str>, build: B)
where
    B: Fn(App, Arc<Stage>) -> F,
    F: Future<Output = Result<App, Error>>,
{
    let running = async {
        let settings = Settings { cache: (name == KEEPS_LISTS).then(|| stage.lists()), ..stage.settings(boot, share) };
        let app = App::new(name, settings)?;
        build(app, stage.clone()).await?.start().await
    };
    let running = match running.await {
        Ok(running) => running,
        Err(error) => {
            stage.world.reached("application refused to start");
            return stage.world.record("application refused to start", format_args!("{name} {error}"));
        }
    };
    if env::random_below(ORDERLY) == 0 {
        let seconds = ORDERLY_AFTER.0 + env::random_below(ORDERLY_AFTER.1 - ORDERLY_AFTER.0);
        tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).await;
        if stage.world.phase() == Phase::Safety {
            stage.views.leaves(&stage.world, boot.node);
            running.stop().await;
            stage.views.has_drained(&stage.world);
            return stage.world.reached("application stopped in order");
        }
    }
    std::future::pending::<()>().await;
    drop(running);
}

/// The account service of one share.
pub(super) async fn account(app: App, stage: Arc<Stage>, database: &'static str) -> Result<App, Error> {
    let config = account::Config { database: stage.database(database) };
    let app = account::service(app, &config, sql::options(&stage.world)).await?;
    if stage.has(Plant::MintsMoney) {
        books::run(&config.database, plant::MINTING).map_err(Error::internal)?;
    }
    Ok(app)
}

/// The payment service, and in some seeds an agency beside it.
pub(super) async fn payment(app: App, stage: Arc<Stage>) -> Result<App, Error> {
    let config = payment::Config { database: stage.database("payment") };
    let app = payment::service(app, &config, sql::options(&stage.world)).await?;
    agency::open(app, &stage).await
}

/// The notify service.
pub(super) async fn notify(app: App, stage: Arc<Stage>) -> Result<App, Error> {
    let config = notify::Config { database: stage.database("notify") };
    books::run(&config.database, books::KEYLESS_NOTIFICATIONS).map_err(Error::internal)?;
    Ok(notify::service(app, &config, sql::options(&stage.world)).await?)
}
