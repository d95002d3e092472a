//! Account numbers as logs and pages may show them: enough to compare two of them, too little to use one.
//!
//! Left out: every other secret. Payloads and results of services are theirs to mask.

use std::borrow::Cow;

/// Characters shown at each end.
const SHOWN: usize = 4;

/// The shortest and the longest IBAN: Norway's, and what ISO 13616 allows.
const IBAN_LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// Letters and digits in each group of an IBAN that is printed for people.
const PRINTED_GROUP: usize = 4;

/// The first four characters of an account number and the last four; of one too short for that, nothing.
///
/// ```
/// assert_eq!(settee_core::mask::account("DE68700901004224967103"), "DE68…7103");
/// ```
#[must_use]
pub fn account(number: &str) -> String {
    let length = number.chars().count();
    if length <= 2 * SHOWN {
        return "…".to_owned();
    }
    let first: String = number.chars().take(SHOWN).collect();
    let last: String = number.chars().skip(length - SHOWN).collect();
    format!("{first}…{last}")
}

/// `text` with every IBAN in it masked, whether it is written in one piece or in groups of four.
///
/// What only looks like one stays: its check digits must be right, and it must be a word of its own.
///
/// ```
/// let text = settee_core::mask::accounts_in("rent of DE68 7009 0100 4224 9671 03, paid");
/// assert_eq!(text, "rent of DE68…7103, paid");
/// ```
#[must_use]
pub fn accounts_in(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let starts_word = !text.as_bytes()[..at].last().is_some_and(u8::is_ascii_alphanumeric);
        match starts_word.then(|| iban_at_start(rest)).flatten() {
            Some(Iban { bytes, number }) => {
                masked.push_str(&text[copied..at]);
                masked.push_str(&account(&number));
                at += bytes;
                copied = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    match copied {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(masked + &text[copied..]),
    }
}

/// An IBAN in a text: how many bytes of it, and without its spaces.
struct Iban {
    bytes: usize,
    number: String,
}

/// The longest IBAN that `text` begins with.
fn iban_at_start(text: &str) -> Option<Iban> {
    let mut number = String::new();
    let mut longest = None;
    for (index, byte) in text.bytes().enumerate() {
        let is_gap =
            byte == b' ' && !number.is_empty() && number.len().is_multiple_of(PRINTED_GROUP) && !text[..index].ends_with(' ');
        if is_gap {
            continue;
        }
        if !byte.is_ascii_alphanumeric() || number.len() == *IBAN_LENGTHS.end() {
            break;
        }
        number.push(char::from(byte));
        let ends_word = !text.as_bytes().get(index + 1).is_some_and(u8::is_ascii_alphanumeric);
        if ends_word && is_iban(&number) {
            longest = Some(Iban { bytes: index + 1, number: number.clone() });
        }
    }
    longest
}

/// Whether the form and the check digits are right (ISO 7064, MOD 97-10).
fn is_iban(number: &str) -> bool {
    let bytes = number.as_bytes();
    let [first, second, third, fourth, rest @ ..] = bytes else { return false };
    let has_form =
        first.is_ascii_alphabetic() && second.is_ascii_alphabetic() && third.is_ascii_digit() && fourth.is_ascii_digit();
    if !has_form || !IBAN_LENGTHS.contains(&bytes.len()) {
        return false;
    }
    let turned = rest.iter().chain(&bytes[..4]);
    let remainder = turned.fold(0_u32, |remainder, byte| match char::from(*byte).to_digit(36) {
        Some(digit @ 0..=9) => (remainder * 10 + digit) % 97,
        Some(letter) => (remainder * 100 + letter) % 97,
        None => remainder,
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_shows_a_whole_account_number() {
        assert_eq!(account("DE68700901004224967103"), "DE68…7103");
        for short in ["", "1234", "12345678"] {
            assert_eq!(account(short), "…");
        }
        assert_eq!(account("äöüß56789"), "äöüß…6789");
    }

    #[test]
    fn an_iban_is_masked_wherever_and_however_it_is_written() {
        for (text, shown) in [
            ("DE68700901004224967103", "DE68…7103"),
            ("de68700901004224967103", "de68…7103"),
            ("E2E-CH9300762011623852957-7", "E2E-CH93…2957-7"),
            ("DE68 7009 0100 4224 9671 03 is full", "DE68…7103 is full"),
            ("NO9386011117947", "NO93…7947"),
            ("from=GB82WEST12345698765432;to=NO93 8601 1117 947", "from=GB82…5432;to=NO93…7947"),
            ("äÖ DE68700901004224967103 ü", "äÖ DE68…7103 ü"),
        ] {
            assert_eq!(accounts_in(text), shown);
        }
    }

    #[test]
    fn what_is_no_account_number_stays_readable() {
        for text in [
            "",
            "E2E-1",
            "DE69700901004224967103",
            "TX20260101000001",
            "0700000100000000002a000000000009",
            "xDE68700901004224967103",
            "DE68700901004224967103x",
            "DE68",
            "€ 12.50 für Müller",
        ] {
            assert!(matches!(accounts_in(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
