//! Values and refusals of services that are known only at run time, read from MessagePack and shown as JSON.
//!
//! JSON has no bytes and no keys other than text: bytes become arrays of numbers, as they are over HTTP, and keys their text. The
//! addresses of sockets travel as numbers, and are shown as everywhere else: `127.0.0.1:7400`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};
use settee::Refusal;

/// Any value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnyValue(pub(super) Value);

/// Any refusal. Its code travels beside its value; from a peer that sends none, it is called by the name of its variant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnyRefusal {
    code: String,
    value: AnyValue,
}

impl AnyRefusal {
    pub(super) fn into_value(self) -> Value {
        self.value.0
    }

    fn variant(&self) -> &str {
        match &self.value.0 {
            Value::String(variant) => variant,
            Value::Object(tagged) => tagged.keys().next().map_or("refused", String::as_str),
            _ => "refused",
        }
    }
}

impl Refusal for AnyRefusal {
    fn code(&self) -> &str {
        if self.code.is_empty() { self.variant() } else { &self.code }
    }

    fn with_code(self, code: String) -> Self {
        Self { code, ..self }
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for AnyRefusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyRefusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = AnyValue::deserialize(deserializer)?;
        Ok(Self { code: String::new(), value })
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor).map(Self)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value that JSON can show")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.to_vec().into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(AnyValue(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((AnyValue(key), AnyValue(value))) = entries.next_entry()? {
            object.insert(key_text(key), value);
        }
        Ok(socket_address(&object).map_or(Value::Object(object), |address| address.to_string().into()))
    }
}

/// The address that `{"V4": [[127, 0, 0, 1], 7400]}` is, or the same with `V6` and sixteen numbers: serde's compact form.
fn socket_address(object: &Map<String, Value>) -> Option<SocketAddr> {
    let (version, value) = object.iter().next().filter(|_| object.len() == 1)?;
    let (octets, port) = serde_json::from_value::<(Vec<u8>, u16)>(value.clone()).ok()?;
    match version.as_str() {
        "V4" => Some((Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?), port).into()),
        "V6" => Some((Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?), port).into()),
        _ => None,
    }
}

fn key_text(key: Value) -> String {
    match key {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::IntoDeserializer;
    use serde::de::value::{BytesDeserializer, Error as ValueError, MapDeserializer};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_has_no_word_for_is_still_shown() {
        let bytes: BytesDeserializer<'_, ValueError> = IntoDeserializer::into_deserializer(&[1_u8, 255][..]);
        assert_eq!(AnyValue::deserialize(bytes).unwrap().0, json!([1, 255]));
        let numbered = BTreeMap::from([(7_u32, "seven")]);
        let numbered: MapDeserializer<'_, _, ValueError> = MapDeserializer::new(numbered.into_iter());
        assert_eq!(AnyValue::deserialize(numbered).unwrap().0, json!({ "7": "seven" }));
    }

    #[test]
    fn an_address_is_shown_as_people_write_it_and_nothing_else_is_taken_for_one() {
        let shown = |value: Value| AnyValue::deserialize(value).unwrap().0;
        let here = json!({ "address": { "V4": [[127, 0, 0, 1], 43_617] } });
        assert_eq!(shown(here), json!({ "address": "127.0.0.1:43617" }));
        let six = json!([{ "V6": [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 80] }]);
        assert_eq!(shown(six), json!(["[::1]:80"]));
        for other in [
            json!({ "V4": [[127, 0, 0], 80] }),
            json!({ "V4": [[127, 0, 0, 256], 80] }),
            json!({ "V4": [[127, 0, 0, 1], 65_536] }),
            json!({ "V4": [[127, 0, 0, 1], 80], "V6": null }),
            json!({ "V5": [[127, 0, 0, 1], 80] }),
        ] {
            assert_eq!(shown(other.clone()), other);
        }
    }

    #[test]
    fn a_refusal_is_called_by_its_code_and_without_one_by_its_variant() {
        let refused = |value| AnyRefusal { code: String::new(), value: AnyValue(value) };
        assert_eq!(refused(json!("closed_account")).with_code("AC04".into()).code(), "AC04");
        let refusal = |value| refused(value).code().to_owned();
        assert_eq!(refusal(json!("closed_account")), "closed_account");
        assert_eq!(refusal(json!({ "funds": { "short_by": 3 } })), "funds");
        assert_eq!(refusal(json!(7)), "refused");
    }
}
