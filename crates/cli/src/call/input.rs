//! What is typed after `settee call`: a method, its arguments, a time. What cannot be read says where.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::control::is_control;

/// The `--timeout` of whoever does not name one.
pub(super) const TIMEOUT: &str = "3s";

/// The longest `--timeout`: a person waits, so more is a slip of the hand.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: String,
    pub(super) method: String,
}

impl Target {
    /// Whether the server itself serves it.
    pub(super) fn is_control(&self) -> bool {
        is_control(&self.service)
    }
}

impl FromStr for Target {
    type Err = String;

    /// The method is what follows the last dot: services have dots in their names, methods have none.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_whole = text.split('.').all(|part| !part.is_empty());
        match text.rsplit_once('.').filter(|_| is_whole) {
            Some((service, method)) => Ok(Self { service: service.to_owned(), method: method.to_owned() }),
            None => Err("expected SERVICE.METHOD, such as pay.Account.find".to_owned()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.service, self.method)
    }
}

/// The arguments of a call by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Arguments(pub(super) Map<String, Value>);

impl Arguments {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Arguments {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::Object(self.0.clone()).fmt(out)
    }
}

impl FromStr for Arguments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let other = match serde_json::from_str(text) {
            Ok(Value::Object(named)) => return Ok(Self(named)),
            Ok(Value::Array(_)) => "an array",
            Ok(Value::String(_)) => "a string",
            Ok(_) => "a single value",
            Err(error) => return Err(format!("not JSON: {error}")),
        };
        Err(format!("arguments go by name: expected an object such as {{\"account\":\"A-1\"}}, got {other}"))
    }
}

/// A time such as `500ms`, `1500 ms`, `3s` or `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time above zero and up to 1h, such as 500ms, 3s or 2m".to_owned();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)?;
    if duration.is_zero() || duration > LONGEST { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_is_behind_the_last_dot() {
        let target: Target = "pay.Account.find".parse().unwrap();
        assert_eq!((target.service.as_str(), target.method.as_str(), target.is_control()), ("pay.Account", "find", false));
        assert!("settee.Transactions.stats".parse::<Target>().unwrap().is_control());
        for wrong in ["find", ".find", "pay.Account.", ""] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_read_as_people_write_them() {
        let table =
            [("500ms", Some(500)), ("1500 ms", Some(1_500)), ("3s", Some(3_000)), ("2m", Some(120_000)), ("1h", Some(3_600_000))];
        let wrong = ["", "3", "0s", "-1s", "1.5s", "2h", "99999999999999999999s", "18446744073709551615m"];
        for (text, millis) in table.into_iter().chain(wrong.map(|text| (text, None))) {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }
}
