//! The inbox: a row for every processed message, in the transaction of its effect, so that a redelivery has none.
//!
//! A message is known by its group, topic and id, not by its place: a relay that lost its identity publishes again, elsewhere.

use std::fmt;
use std::future::Future;

use settee::Reply;
use settee::mq::{Message, MessageHandler};
use settee_core::planted::Bug;
use settee_core::{Certainty, Error, env};
use sqlx::{Sqlite, query};

use crate::database::Database;
use crate::tx::Tx;

const INSERT: &str = "INSERT INTO settee_inbox (consumer_group, topic, message_id, seen_at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (consumer_group, topic, message_id) DO NOTHING";

impl Tx<Sqlite> {
    /// Whether `group` has not processed `message` before. `true` is remembered when this transaction commits.
    ///
    /// # Errors
    /// What the database reports; nothing is done.
    ///
    /// # Cancel safety
    /// The message may be remembered when this transaction commits, so roll it back.
    pub async fn first_time(&mut self, group: &str, message: &Message) -> Result<bool, Error> {
        if Bug::ForgetsInbox.is_planted() {
            return Ok(true);
        }
        let inserted = query(INSERT)
            .bind(group)
            .bind(&message.topic)
            .bind(identity(message))
            .bind(env::wall_clock().millis())
            .execute(&mut *self)
            .await
            .map_err(|error| self.failed(format_args!("look for message {} in the inbox", message.id), error))?;
        Ok(inserted.rows_affected() == 1)
    }
}

/// A message that its sender did not name is known by its place: else all of those would be one.
fn identity(message: &Message) -> String {
    match message.id.as_str() {
        "" => format!("@{}/{}", message.place.partition, message.place.offset),
        id => id.to_owned(),
    }
}

/// Processes messages within a local transaction; [`Database::consume`] makes a [`MessageHandler`] of it.
///
/// ```
/// use settee::Reply;
/// use settee::mq::Message;
/// use settee_sqlx::{TransactionalHandler, Tx};
///
/// struct Statements;
///
/// impl TransactionalHandler for Statements {
///     async fn handle(&self, tx: &mut Tx, message: &Message) -> Reply<()> {
///         sqlx::query("INSERT INTO statement (line) VALUES (?)").bind(&message.id).execute(tx).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait TransactionalHandler: Send + Sync + 'static {
    /// Processes a message that this group has not processed before. `Ok` commits; everything else rolls back, and the message
    /// comes again as [`MessageHandler::handle`] says.
    fn handle(&self, tx: &mut Tx<Sqlite>, message: &Message) -> impl Future<Output = Reply<()>> + Send;
}

/// A [`TransactionalHandler`] as consumers run it: begin, inbox, handler, commit, and only then the acknowledgement.
pub struct Consuming<H> {
    database: Database<Sqlite>,
    group: String,
    handler: H,
}

impl Database<Sqlite> {
    /// Makes a handler for [`Consumer::subscribe`](settee::mq::Consumer::subscribe), of the same `group`, whose effects in this
    /// database happen once for each message.
    #[must_use]
    pub fn consume<H: TransactionalHandler>(&self, group: &str, handler: H) -> Consuming<H> {
        Consuming { database: self.clone(), group: group.to_owned(), handler }
    }
}

impl<H> fmt::Debug for Consuming<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Consuming({} in {})", self.group, self.database.place().display())
    }
}

impl<H: TransactionalHandler> MessageHandler for Consuming<H> {
    async fn handle(&self, message: Message) -> Reply<()> {
        let mut tx = self.database.begin().await?;
        if !tx.first_time(&self.group, &message).await? {
            self.database.count_duplicate();
            roll_back(tx).await;
            return Ok(());
        }
        match self.handler.handle(&mut tx, &message).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(fault) => {
                roll_back(tx).await;
                Err(Error::from(fault).with_certainty(Certainty::NotDone).into())
            }
        }
    }
}

/// It is what dropping does too, so that it failed changes nothing.
async fn roll_back(tx: Tx<Sqlite>) {
    let _same_as_dropped = tx.rollback().await;
}

#[cfg(test)]
#[path = "inbox_test.rs"]
mod tests;
