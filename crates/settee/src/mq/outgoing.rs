//! A message on its way out, as its sender makes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use settee_core::error::{ErrorKind, codes};
use settee_core::{Error, Timestamp};

use crate::rpc::{Encoding, expand};

/// A message to send.
///
/// ```
/// use settee::mq::Outgoing;
///
/// let message = Outgoing::new("transfer-1", "settled").with_key("account-7");
/// assert_eq!(message.key.as_deref(), Some("account-7"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The sender's name for it: its business identity, such as the number of a transfer.
    pub id: String,
    /// Messages of one key stay in order.
    pub key: Option<String>,
    /// What travels beside the payload.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// Not to be delivered before this moment.
    pub not_before: Option<Timestamp>,
}

impl Outgoing {
    /// A message without key, headers and delay, whose content is what it is: bytes or text.
    pub fn new(id: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { id: id.into(), payload: payload.into(), ..Self::default() }
    }

    /// A message without key, headers and delay, whose content is `value`, written as MessagePack with named fields:
    /// [`Message::decode`](super::Message::decode) reads it.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use settee::Reply;
    /// use settee::mq::{Message, Outgoing};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Settled {
    ///     minor: i64,
    /// }
    ///
    /// async fn handle(message: Message) -> Reply<()> {
    ///     let Settled { minor } = message.decode()?;
    ///     println!("{minor} settled");
    ///     Ok(())
    /// }
    ///
    /// let message = Outgoing::encode("transfer-1", &Settled { minor: 1_250 })?.with_key("account-7");
    /// assert!(message.payload.ends_with(&1_250_u16.to_be_bytes()));
    /// # Ok::<(), settee::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when MessagePack cannot hold it, or serde refuses it. Nothing is done.
    pub fn encode<T: Serialize + ?Sized>(id: impl Into<String>, value: &T) -> Result<Self, Error> {
        let id = id.into();
        let written = expand::encode(Encoding::MessagePack, value);
        let payload = written.map_err(|error| {
            let text = format!("write the payload of message {id}: {}", error.message());
            Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text).of_step()
        })?;
        Ok(Self::new(id, payload))
    }

    /// The same message with a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use settee_core::Certainty;

    use super::super::{Message, Place};
    use super::*;

    fn received(outgoing: Outgoing) -> Message {
        let Outgoing { id, key, headers, payload, not_before: _ } = outgoing;
        let (place, published) = (Place { partition: 0, offset: 0 }, Timestamp::EPOCH);
        Message { topic: "transfers".into(), place, id, key, headers, published, payload, attempt: 1 }
    }

    #[test]
    fn what_is_encoded_is_what_a_handler_decodes() {
        let value = BTreeMap::from([("minor".to_owned(), (1_250, Some("CHF".to_owned())))]);
        let message = received(Outgoing::encode("t-1", &value).unwrap());
        assert_eq!((message.decode::<BTreeMap<String, (u32, Option<String>)>>().unwrap(), &*message.id), (value, "t-1"));
        let other = message.decode::<u64>().unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Invalid, "a dead letter, not one that comes back for ever");
    }

    #[test]
    fn a_value_that_cannot_be_written_says_which_message_and_nothing_about_its_handler() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("negative amount"))
            }
        }
        let error = Outgoing::encode("t-1", &Refuses).unwrap_err();
        assert!(error.message().contains("t-1") && error.message().contains("negative amount"), "{error}");
        assert_eq!((error.certainty(), error.of_whole().certainty()), (Certainty::NotDone, Certainty::Unknown));
    }
}
