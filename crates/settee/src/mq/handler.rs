//! What a service writes to consume messages.

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, Timestamp};

use super::control::Place;
use crate::rpc::{Reply, expand};

/// A message as a handler gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic it comes from.
    pub topic: String,
    /// Where it is stored: with the topic, its identity for an inbox.
    pub place: Place,
    /// The sender's name for it.
    pub id: String,
    /// Its key: the messages of one key come one after the other.
    pub key: Option<String>,
    /// What travels beside the payload.
    pub headers: BTreeMap<String, String>,
    /// When it was published, by the broker's clock.
    pub published: Timestamp,
    /// The content.
    pub payload: Bytes,
    /// The how manieth delivery it is, from 1.
    pub attempt: u32,
}

impl Message {
    /// The content, read as MessagePack with named fields, as settee's own senders and [`Outgoing::encode`](super::Outgoing::encode)
    /// write it.
    ///
    /// # Errors
    /// `Invalid`, which a handler may return as it is: the message becomes a dead letter.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        expand::decode(crate::rpc::Encoding::MessagePack, &self.payload).map_err(|error| {
            Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, format!("read message {}: {}", self.id, error.message()))
        })
    }
}

/// Processes messages. Implemented by every `Fn(Message) -> impl Future<Output = Reply<()>>`.
///
/// ```
/// use settee::Reply;
/// use settee::mq::{Message, MessageHandler};
///
/// struct Statement;
///
/// impl MessageHandler for Statement {
///     async fn handle(&self, message: Message) -> Reply<()> {
///         println!("{} settled", message.id);
///         Ok(())
///     }
/// }
/// ```
pub trait MessageHandler: Send + Sync + 'static {
    /// Processes one message. It is done when this returns `Ok`; it may come again at any time before, so the effect and the
    /// inbox row belong into one transaction.
    ///
    /// A failure brings the message back after its backoff, at most 16 times; one of kind `Invalid` makes it a dead letter at
    /// once. The ambient context carries the sender's trace and a deadline of 25 s, at which the handler is dropped.
    fn handle(&self, message: Message) -> impl Future<Output = Reply<()>> + Send;
}

impl<F, Fut> MessageHandler for F
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Reply<()>> + Send,
{
    fn handle(&self, message: Message) -> impl Future<Output = Reply<()>> + Send {
        self(message)
    }
}
