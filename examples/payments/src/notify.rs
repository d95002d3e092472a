//! The notify service: one notification for each settled transfer, exactly once, however often the message comes.

use std::path::PathBuf;

use serde::Deserialize;
use settee::app::App;
use settee::mq::Message;
use settee::{Error, Reply};
use settee_sqlx::{Database, DatabaseOptions, TransactionalHandler, Tx};
use sqlx::{Row, query};

use crate::api::{Notified, Notify, NotifyServer, Settled, TRANSFERS};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS notifications (transfer_id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID";
const INSERT: &str = "INSERT INTO notifications (transfer_id, text) VALUES (?1, ?2)";
const COUNT: &str = "SELECT COUNT(*) AS notifications FROM notifications";
const FIND: &str = "SELECT 1 FROM notifications WHERE transfer_id = ?1";

/// The consumer group of the notify service.
pub const GROUP: &str = "notify";

/// What the notify service is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file of its notifications.
    pub database: PathBuf,
}

#[derive(Clone, Debug)]
struct Notifications {
    database: Database,
}

/// Puts the notify service together.
///
/// # Errors
/// What the database reports.
pub async fn service(app: App, config: &Config, options: DatabaseOptions) -> Reply<App> {
    let database = Database::open(&config.database, options).await?;
    let mut tx = database.begin().await?;
    query(TABLE).execute(&mut tx).await?;
    tx.commit().await?;
    let notifications = Notifications { database: database.clone() };
    let consuming = database.consume(GROUP, notifications.clone());
    let closing = database.clone();
    let app = app.serve(NotifyServer::new(notifications)).consume(TRANSFERS, GROUP, consuming);
    let app = app.background(|shutdown| async move { database.sweep(shutdown).await });
    Ok(app.when_stopped(|| async move { closing.close().await }))
}

impl TransactionalHandler for Notifications {
    async fn handle(&self, tx: &mut Tx, message: &Message) -> Reply<()> {
        let settled: Settled = message.decode()?;
        let text = format!("{} {} paid, transfer {}", settled.currency, settled.minor, settled.transfer);
        query(INSERT).bind(&settled.transfer).bind(text).execute(tx).await?;
        Ok(())
    }
}

impl Notify for Notifications {
    async fn counts(&self) -> Reply<Notified> {
        let row = query(COUNT).fetch_one(&mut self.database.read().await?).await?;
        let rows = u64::try_from(row.try_get::<i64, _>("notifications")?).map_err(Error::internal)?;
        Ok(Notified { rows, duplicates_suppressed: self.database.duplicates_suppressed() })
    }

    async fn notified(&self, transfers: Vec<String>) -> Reply<u64> {
        let mut read = self.database.read().await?;
        let mut found = 0;
        for transfer in transfers {
            found += u64::from(query(FIND).bind(transfer).fetch_optional(&mut read).await?.is_some());
        }
        Ok(found)
    }
}
