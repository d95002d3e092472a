//! What the coordinator stores: every value begins with the version of its format.
//!
//! ```text
//! | version 1 | MessagePack with named fields |
//! ```
//! A reader takes its own version and older ones; a newer one is refused, not guessed at.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

/// A stored value.
pub trait Record: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const NAME: &'static str;
    /// The format that this version writes.
    const VERSION: u8;
}

/// The stored bytes of `record`.
///
/// # Panics
/// When the record cannot be written as MessagePack, which its type decides and its tests show.
#[must_use]
pub fn encode<R: Record>(record: &R) -> Bytes {
    let mut bytes = vec![R::VERSION];
    let written = rmp_serde::encode::write_named(&mut bytes, record);
    written.expect("records hold only what MessagePack can say");
    bytes.into()
}

/// Reads stored bytes.
///
/// # Errors
/// `Unsupported` (`STO0003`) when a newer version wrote them, `Damaged` (`STO0002`) when they are not what was written.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, Error> {
    let Some((version, body)) = bytes.split_first() else {
        return Err(damaged::<R>("it is empty"));
    };
    if *version > R::VERSION {
        let message = format!("read a {}: format {version} is newer than {}, which this version knows", R::NAME, R::VERSION);
        return Err(Error::new(ErrorKind::Unsupported, codes::STORE_NEWER, message));
    }
    rmp_serde::from_slice(body).map_err(|error| damaged::<R>(&error.to_string()))
}

fn damaged<R: Record>(why: &str) -> Error {
    Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, format!("read a {}: {why}", R::NAME))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Record for Note {
        const NAME: &'static str = "note";
        const VERSION: u8 = 2;
    }

    #[test]
    fn newer_and_damaged_values_are_told_apart() {
        let stored = encode(&Note { text: "a".into() });
        assert_eq!(decode::<Note>(&stored).unwrap().text, "a");
        let mut newer = stored.to_vec();
        newer[0] = 3;
        assert_eq!(decode::<Note>(&newer).unwrap_err().code(), &codes::STORE_NEWER);
        assert_eq!(decode::<Note>(&stored[..3]).unwrap_err().code(), &codes::STORE_DAMAGED);
        assert_eq!(decode::<Note>(&[]).unwrap_err().code(), &codes::STORE_DAMAGED);
    }
}
