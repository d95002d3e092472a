//! The outbox: messages as rows of the transaction that causes them, so that both happen or neither does.
//!
//! [`Tx::publish`] writes the rows; a [`Relay`](settee::mq::Relay) over the [`Database`] takes, publishes and deletes them.
//! SQLite commits one transaction after the other, so the rows' ids are their order and the messages' sequences. After a backup
//! was restored, empty `settee_producer`: ids are given again then, and the broker would take new messages for repeats.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use settee::mq::{OutboxRow, OutboxSource, Outgoing, ProducerRef};
use settee::rpc::Encoding;
use settee_core::error::{ErrorKind, codes};
use settee_core::mq::name::check_topic;
use settee_core::mq::record::TRACE_HEADER;
use settee_core::planted::Bug;
use settee_core::{Context, Error, Timestamp, env};
use sqlx::{FromRow, Row, Sqlite, query, query_as, raw_sql};

use crate::database::Database;
use crate::failure::of_statement;
use crate::tx::Tx;

const INSERT: &str = "INSERT INTO settee_outbox (topic, message_id, key, headers, payload, not_before_us)
    VALUES (?, ?, ?, ?, ?, ?)";

const TAKE: &str = "SELECT id, topic, message_id, key, headers, payload, not_before_us FROM settee_outbox
    WHERE set_aside IS NULL AND topic NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?";

const DELETE: &str = "DELETE FROM settee_outbox WHERE id IN (SELECT value FROM json_each(?))";

const SET_ASIDE: &str = "UPDATE settee_outbox SET set_aside = ? WHERE id = ?";

const PRODUCER: &str = "SELECT producer, epoch FROM settee_producer WHERE slot = 1";

const ADOPT: &str = "INSERT INTO settee_producer (slot, producer, epoch) VALUES (1, ?, ?)
    ON CONFLICT (slot) DO UPDATE SET producer = excluded.producer, epoch = excluded.epoch";

impl Tx<Sqlite> {
    /// Publishes a message when this transaction commits, under a random id. Messages of one key stay in order.
    ///
    /// The payload is written as MessagePack with named fields: [`Message::decode`](settee::mq::Message::decode) reads it.
    ///
    /// # Errors
    /// `Invalid` for a message that the broker would never take, else what the database reports. Nothing is done.
    ///
    /// # Cancel safety
    /// The row may be there when this transaction commits, without waking the relay: it is published within a second.
    pub async fn publish<T: Serialize + Sync + ?Sized>(&mut self, topic: &str, key: &str, payload: &T) -> Result<(), Error> {
        self.publish_with_id(topic, key, &format!("{:032x}", env::random_u128()), payload).await
    }

    /// As [`Tx::publish`], under an id of your own: the message's business identity, which consumers drop repeats by.
    ///
    /// # Errors
    /// As [`Tx::publish`].
    ///
    /// # Cancel safety
    /// As [`Tx::publish`].
    pub async fn publish_with_id<T>(&mut self, topic: &str, key: &str, id: &str, payload: &T) -> Result<(), Error>
    where
        T: Serialize + Sync + ?Sized,
    {
        self.publish_message(topic, Outgoing::encode(id, payload)?.with_key(key)).await
    }

    /// As [`Tx::publish`], with everything your own: no key, a delay, headers, another encoding.
    ///
    /// # Errors
    /// As [`Tx::publish`].
    ///
    /// # Cancel safety
    /// As [`Tx::publish`].
    pub async fn publish_message(&mut self, topic: &str, mut message: Outgoing) -> Result<(), Error> {
        if let Some(context) = Context::try_current() {
            message.headers.entry(TRACE_HEADER.to_owned()).or_insert_with(|| context.trace.to_string());
        }
        check(topic, &message)?;
        let doing = |id: &str| format!("publish message {id} to {topic}");
        query(INSERT)
            .bind(topic)
            .bind(&message.id)
            .bind(&message.key)
            .bind(encode("write the headers of a message", &message.headers)?.to_vec())
            .bind(message.payload.to_vec())
            .bind(message.not_before.map(Timestamp::micros))
            .execute(&mut *self)
            .await
            .map_err(|error| self.failed(doing(&message.id), error))?;
        if Bug::CommitsOutboxAlone.is_planted() {
            raw_sql("COMMIT; BEGIN IMMEDIATE")
                .execute(&mut *self)
                .await
                .map_err(|error| self.failed(doing(&message.id), error))?;
        }
        self.published = true;
        Ok(())
    }
}

impl OutboxSource for Database<Sqlite> {
    async fn producer(&self) -> Result<Option<ProducerRef>, Error> {
        let found: Option<(i64, i64)> = query_as(PRODUCER)
            .fetch_optional(&mut self.read().await?)
            .await
            .map_err(|error| of_statement("read the outbox's producer", self.place(), error))?;
        Ok(found.map(stored_producer))
    }

    async fn adopt(&self, producer: ProducerRef, replaced: Option<ProducerRef>) -> Result<ProducerRef, Error> {
        let failed = |error| of_statement("store the outbox's producer", self.place(), error);
        let mut tx = self.begin().await?;
        let found: Option<(i64, i64)> = query_as(PRODUCER).fetch_optional(&mut tx).await.map_err(failed)?;
        match found.map(stored_producer) {
            Some(stored) if Some(stored) != replaced => {
                tx.rollback().await?;
                Ok(stored)
            }
            _ => {
                let adopt = query(ADOPT).bind(producer.id.cast_signed()).bind(producer.epoch.cast_signed());
                adopt.execute(&mut tx).await.map_err(failed)?;
                tx.commit().await?;
                Ok(producer)
            }
        }
    }

    async fn take(&self, limit: usize, without: &[String]) -> Result<Vec<OutboxRow>, Error> {
        let rows: Vec<Taken> = query_as(TAKE)
            .bind(json_list(without.iter().map(|topic| format!("\"{topic}\""))))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut self.read().await?)
            .await
            .map_err(|error| of_statement("read the outbox", self.place(), error))?;
        Ok(rows.into_iter().map(|Taken(row)| row).collect())
    }

    async fn mark_sent(&self, rows: &[i64]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let deleted = query(DELETE).bind(json_list(rows.iter().map(i64::to_string))).execute(&mut tx).await;
        deleted.map_err(|error| of_statement("delete sent messages", self.place(), error))?;
        tx.commit().await
    }

    async fn set_aside(&self, row: i64, cause: &Error) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let set = query(SET_ASIDE).bind(cause.to_string()).bind(row).execute(&mut tx).await;
        set.map_err(|error| of_statement("set a message aside", self.place(), error))?;
        tx.commit().await
    }

    async fn notified(&self) {
        self.outbox().notified().await;
    }
}

struct Taken(OutboxRow);

impl<'r> FromRow<'r, sqlx::sqlite::SqliteRow> for Taken {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        let id: i64 = row.try_get("id")?;
        let headers: Vec<u8> = row.try_get("headers")?;
        let payload: Vec<u8> = row.try_get("payload")?;
        let not_before: Option<i64> = row.try_get("not_before_us")?;
        let headers: BTreeMap<String, String> =
            settee::expand::decode(Encoding::MessagePack, &headers).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self(OutboxRow {
            row: id,
            topic: row.try_get("topic")?,
            id: row.try_get("message_id")?,
            key: row.try_get("key")?,
            sequence: id.cast_unsigned(),
            headers,
            payload: payload.into(),
            not_before: not_before.map(Timestamp::from_micros),
        }))
    }
}

/// Numbers or names of topics, which have nothing that JSON would escape, for `json_each`.
fn json_list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

fn stored_producer((id, epoch): (i64, i64)) -> ProducerRef {
    ProducerRef { id: id.cast_unsigned(), epoch: epoch.cast_unsigned() }
}

fn encode<T: Serialize + ?Sized>(doing: &str, value: &T) -> Result<Bytes, Error> {
    settee::expand::encode(Encoding::MessagePack, value)
        .map_err(|error| Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, format!("{doing}: {}", error.message())).of_step())
}

/// What the broker checks, checked while the sender can still be told: a row that it never takes would hold up all others.
fn check(topic: &str, message: &Outgoing) -> Result<(), Error> {
    check_topic(topic).map_err(Error::of_step)?;
    let Outgoing { id, key, headers, payload, not_before } = message.clone();
    let message = settee_core::mq::Message { id, key, headers, payload, not_before, published: Timestamp::EPOCH };
    message.check().map_err(Error::of_step)
}

#[cfg(test)]
#[path = "outbox_test.rs"]
mod tests;
