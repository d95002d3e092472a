//! The names of a struct's fields, asked of serde, and the nearest of them to a name that does not exist.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor, value::Error};

/// The fields of `T` if it is a struct; `None` when it takes any key.
pub(crate) fn fields_of<'de, T: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut fields = None;
    let _it_always_fails = T::deserialize(FieldNames(&mut fields));
    fields
}

/// The name nearest to `wrong`, if one is near enough to be what was meant.
///
/// ```
/// use settee::config::nearest;
///
/// assert_eq!(nearest("databse", ["database", "retries"]), Some("database"));
/// assert_eq!(nearest("color", ["database", "retries"]), None);
/// ```
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR: f64 = 0.7;
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(wrong, name), name));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= NEAR).then_some(best.1)
}

/// A deserializer that writes down which fields a struct asks for, and then fails.
struct FieldNames<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(fields);
        Err(serde::de::Error::custom("only the names were wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
