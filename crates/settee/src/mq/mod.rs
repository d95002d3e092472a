//! Messages, as a service uses them: send, consume, and the relay that empties an outbox.
//!
//! ```text
//! Producer -> publish(producer, epoch, sequence) -> broker -> consume -> Consumer -> MessageHandler -> ack | nack
//! OutboxSource (rows of the service's own commits) -> Relay -^
//! ```
//! Delivery is at least once and in the order of each key; an effect happens once when the handler writes its inbox row in the
//! transaction of the effect (`settee-sqlx`). Sending from a transaction goes through the outbox and the [`Relay`].

pub mod control;
mod events;

mod client;
mod filling;
mod outgoing;
mod producer;

mod consumer;
mod handler;

mod held;
mod relay;

#[cfg(test)]
mod fake;

pub use client::Messages;
pub use consumer::{Consumer, ConsumerOptions, HANDLER_TIMEOUT};
pub use control::{MessageControl, MessageControlClient, MessageControlServer, Place, ProducerRef};
pub use handler::{Message, MessageHandler};
pub use outgoing::Outgoing;
pub use producer::Producer;
pub use relay::{BATCH as RELAY_BATCH, OutboxRow, OutboxSource, POLL_INTERVAL as RELAY_POLL_INTERVAL, Relay};
