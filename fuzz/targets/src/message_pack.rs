//! The content of a frame, as MessagePack, read as the type that a method asks for.

use serde::Serialize;
use serde::de::DeserializeOwned;
use settee_payments::api::{Leg, Transfer};
use settee_wire::body::{BodyCodec, BodyError, BodyLimits};

use crate::budget::Budget;
use crate::values::{Chain, Order};

/// A byte can be a value of up to 72 bytes, in a vector that has just doubled and still holds its old half.
const BUDGET: Budget = Budget { fixed: 64 << 10, per_byte: 256 };

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    read_as::<Order>(input);
    read_as::<Chain>(input);
    read_as::<Vec<Leg>>(input);
    read_as::<Transfer>(input);
    read_as::<Vec<u64>>(input);
    read_as::<serde_json::Value>(input);
}

fn read_as<T: Serialize + DeserializeOwned>(input: &[u8]) {
    match BUDGET.spend(input.len(), || decode::<T>(input)) {
        Ok(value) => {
            // Compared as bytes, since a number that is none does not equal itself.
            let written = encode(&value);
            let again = decode::<T>(&written).unwrap_or_else(|error| panic!("what was written is not read: {error}"));
            assert_eq!(encode(&again), written);
        }
        Err(BodyError::Refused { offset, .. }) => assert!(offset <= input.len(), "byte {offset} of {}", input.len()),
        Err(error) => assert!(error.to_string().starts_with("decode messagepack body: "), "{error}"),
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    BodyCodec::MessagePack.decode(bytes, &BodyLimits::default())
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    BodyCodec::MessagePack.encode(value, &mut bytes).expect("every value can be written");
    bytes
}
