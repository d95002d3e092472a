//! What to type next when a call failed: the name that was meant, the argument that is missing.
//!
//! The names that exist are looked for among the words of the error: its wording is no interface, but that they stand in it is
//! what it is for.

use serde_json::Value;
use settee::config::nearest;
use settee::error::{Code, codes};
use settee::{Certainty, Error};

use super::Args;
use super::input::{self, Arguments, Target};
use crate::control::server_flag;
use crate::usage::is_plain;

/// What serde says before the name of a field.
const MISSING: &str = "missing field `";

/// What serde says before a number where it wanted something else.
const NUMBER: &str = "invalid type: integer `";

/// Lines of advice for an error of this call.
pub(super) fn of(args: &Args, error: &Error) -> Vec<String> {
    let (target, code) = (&args.target, error.code());
    let meant = |wrong: &str| nearest(wrong, words(error.message()).filter(|word| *word != wrong));
    let advice = if *code == codes::NO_METHOD {
        meant(&target.method).map(|method| typed(args, &Target { method: method.to_owned(), ..target.clone() }, &args.arguments))
    } else if *code == codes::NO_SERVICE {
        meant(&target.service)
            .map(|service| typed(args, &Target { service: service.to_owned(), ..target.clone() }, &args.arguments))
    } else if *code == codes::BAD_REQUEST {
        let right = missing(error.message()).map(|field| args.arguments.with(field));
        right.or_else(|| args.arguments.quoted(error.message())).map(|right| typed(args, target, &right))
    } else if *code == codes::BAD_REPLY {
        let other = Args { follow: !args.follow, ..args.clone() };
        let answer = if args.follow { "one value" } else { "a stream of updates" };
        return vec![format!("does it answer with {answer}, and may be called again?"), typed(&other, target, &args.arguments)];
    } else if *code == codes::DEADLINE && error.certainty() == Certainty::NotDone {
        Some(format!("the call was never sent; --timeout was {} ms", args.timeout.as_millis()))
    } else {
        listed(code).map(|what| format!("try: settee ls {what}{}", server_flag(args.server.server)))
    };
    advice.into_iter().collect()
}

/// The list to look at: of the names of which one was wrong, or of what was left undone.
fn listed(code: &Code) -> Option<&'static str> {
    let lists = [
        (codes::NO_TRANSACTION, "transactions"),
        (codes::TABLES_MISSING, "transactions"),
        (codes::NO_TOPIC, "topics"),
        (codes::NO_JOB, "jobs"),
    ];
    lists.into_iter().find(|(wrong, _)| wrong == code).map(|(_, list)| list)
}

/// The same command line, for another method or with other arguments. `--json` is left out: who reads JSON reads no advice.
pub(super) fn typed(args: &Args, target: &Target, arguments: &Arguments) -> String {
    let words = [
        (!arguments.is_empty()).then(|| word(&arguments.to_string())),
        args.route.as_deref().map(|route| format!("--route {}", word(route))),
        args.instance.map(|instance| format!("--instance {instance}")),
        (Ok(args.timeout) != input::duration(input::TIMEOUT)).then(|| format!("--timeout {}ms", args.timeout.as_millis())),
        args.follow.then(|| "--follow".to_owned()),
    ];
    let words: String = words.into_iter().flatten().map(|word| format!(" {word}")).collect();
    format!("try: settee call {target}{words}{}", server_flag(args.server.server))
}

/// A word as a shell reads it back.
fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn words(message: &str) -> impl Iterator<Item = &str> {
    message.split(|letter: char| !letter.is_alphanumeric() && !"._".contains(letter)).filter(|word| !word.is_empty())
}

fn missing(message: &str) -> Option<&str> {
    message.split_once(MISSING)?.1.split('`').next()
}

impl Arguments {
    /// The same with `field` in it: the nearest of those that are there is what was meant by it, else its value is to be filled in.
    fn with(&self, field: &str) -> Self {
        let mut named = self.0.clone();
        let meant = nearest(field, named.keys().map(String::as_str)).map(str::to_owned);
        let value = meant.and_then(|wrong| named.remove(&wrong)).unwrap_or_else(|| Value::from("VALUE"));
        named.insert(field.to_owned(), value);
        Self(named)
    }

    /// The same with one number as text, if text was expected where it is. `None` when several are this number: nothing says which.
    fn quoted(&self, message: &str) -> Option<Self> {
        let (number, expected) = message.split_once(NUMBER)?.1.split_once("`, expected ")?;
        let is_it = |value: &Value| value.as_number().is_some_and(|digits| digits.to_string() == number);
        let mut names = self.0.iter().filter(|(_, value)| is_it(value)).map(|(name, _)| name);
        let (Some(name), None, true) = (names.next(), names.next(), expected.starts_with("a string")) else { return None };
        let mut named = self.0.clone();
        named.insert(name.clone(), Value::from(number));
        Some(Self(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_is_missing_is_the_misspelt_one_or_is_to_be_filled_in() {
        let with = |typed: &str| typed.parse::<Arguments>().unwrap().with("account").to_string();
        assert_eq!(with(r#"{"acount":"A-1","limit":3}"#), r#"{"account":"A-1","limit":3}"#);
        assert_eq!(with("{}"), r#"{"account":"VALUE"}"#);
    }

    #[test]
    fn a_number_where_text_belongs_is_quoted_unless_several_could_be_meant() {
        let quoted = |typed: &str, message: &str| {
            typed.parse::<Arguments>().unwrap().quoted(message).map(|arguments| arguments.to_string())
        };
        let message = "decode messagepack body: invalid type: integer `1`, expected a string";
        assert_eq!(quoted(r#"{"account":1,"limit":3}"#, message).as_deref(), Some(r#"{"account":"1","limit":3}"#));
        assert_eq!(quoted(r#"{"account":1,"limit":1}"#, message), None);
        assert_eq!(quoted(r#"{"account":1}"#, "invalid type: integer `1`, expected a map"), None);
    }

    #[test]
    fn names_are_found_whatever_the_words_around_them() {
        let message = "find method \"statz\" of settee.Transactions: it has show, list, stats";
        assert_eq!(nearest("statz", words(message).filter(|word| *word != "statz")), Some("stats"));
        assert_eq!(missing("decode messagepack body: missing field `limit` at line 1"), Some("limit"));
        assert_eq!(missing("decode messagepack body: invalid type"), None);
    }
}
