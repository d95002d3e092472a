//! Exact amounts: a decimal as somebody wrote it, a currency with its minor unit, and the two together.
//!
//! No floating point and no rounding anywhere. A [`Decimal`] keeps what the file said even when the currency
//! cannot express it, because whether that refuses one transfer or the whole file is not for this module to say.

use std::fmt;

/// Digits an amount may be written with, leading and trailing zeros included (ISO 20022 `totalDigits`).
pub const MAX_DIGITS: usize = 18;

/// Minor units of one currency that a ledger may be opened with: half of what an `i64` counts. Money only moves between the two
/// ledgers, so no account and no sum of a ledger ever holds more than both were opened with, and an `i64` counts that.
pub const MAX_OPENED_MINOR: i64 = i64::MAX / 2;

/// A decimal number as written: `12.50` and `12.5` differ here, and [`Decimal::minor`] makes them comparable.
///
/// At most 18 digits, so `digits` is below 10^18 and `scale` below 18, unless made by [`Decimal::from_minor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: u64,
    scale: u8,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecimal {
    /// Anything but `-?[0-9]+(\.[0-9]+)?`.
    #[error("is not a number")]
    Syntax,
    /// More than [`MAX_DIGITS`].
    #[error("has more than 18 digits")]
    TooLong,
}

/// Why an amount has no value in a currency's minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMinor {
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// Written with more decimals than the currency has, even if they are zeros.
    #[error("has more decimals than its currency")]
    TooManyDecimals,
    /// More minor units than an `i64` counts, about 9.2e18.
    #[error("is too large")]
    TooLarge,
}

impl Decimal {
    /// Reads `-?[0-9]+(\.[0-9]+)?`: no sign but `-`, no spaces, no exponent, no grouping.
    ///
    /// # Errors
    /// [`NotDecimal::Syntax`] before [`NotDecimal::TooLong`].
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(NotDecimal::Syntax),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(NotDecimal::Syntax);
        }
        if whole.len() + fraction.len() > MAX_DIGITS {
            return Err(NotDecimal::TooLong);
        }
        let digits = whole.bytes().chain(fraction.bytes()).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Ok(Self { negative, digits, scale: fraction.len() as u8 })
    }

    /// `minor` units of a currency with `exponent` decimals.
    #[must_use]
    pub fn from_minor(minor: i64, exponent: u8) -> Self {
        Self { negative: minor < 0, digits: minor.unsigned_abs(), scale: exponent }
    }

    /// The amount in minor units of a currency with `exponent` decimals, exactly. Zero is a value.
    ///
    /// # Errors
    /// [`NotMinor::Negative`] first (`-0` is zero), then [`NotMinor::TooManyDecimals`], then [`NotMinor::TooLarge`].
    pub fn minor(&self, exponent: u8) -> Result<i64, NotMinor> {
        if self.negative && self.digits != 0 {
            return Err(NotMinor::Negative);
        }
        let missing = exponent.checked_sub(self.scale).ok_or(NotMinor::TooManyDecimals)?;
        10_u64
            .checked_pow(u32::from(missing))
            .and_then(|factor| self.digits.checked_mul(factor))
            .and_then(|minor| i64::try_from(minor).ok())
            .ok_or(NotMinor::TooLarge)
    }

    /// The number without its point, signed, and how many of its digits stand behind the point.
    #[must_use]
    pub fn parts(&self) -> (i128, u8) {
        let digits = i128::from(self.digits);
        (if self.negative { -digits } else { digits }, self.scale)
    }

    /// Whether the value is zero, however written.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits == 0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&pointed(self.negative, u128::from(self.digits), self.scale))
    }
}

/// `digits` with a point before the last `scale` of them and at least one digit before the point.
#[must_use]
pub fn pointed(negative: bool, digits: u128, scale: u8) -> String {
    let sign = if negative { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{digits:0width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// A currency of ISO 4217 that has a minor unit; gold, test codes and the like do not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// Looks up three capital letters; anything else is `None`.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let currency = iso_currency::Currency::from_code(code)?;
        let exponent = u8::try_from(currency.exponent()?).ok()?;
        Some(Self { code: currency.code(), exponent })
    }

    /// `EUR`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Decimals of the minor unit: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code)
    }
}

/// Minor units of one currency. Displays as `EUR 12.50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Minor units, such as cents.
    pub minor: i64,
    /// What they are units of.
    pub currency: Currency,
}

impl Money {
    /// The sum, or `None` for two currencies or a result beyond an `i64`.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = Decimal::from_minor(self.minor, self.currency.exponent());
        write!(out, "{} {amount}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn only_plain_numbers_of_at_most_18_digits_are_amounts() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1e3", "1,5", " 1", "1 ", "0x1", "--1", "1.2.3", "1.-2", "١", "NaN"] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::Syntax), "{text:?}");
        }
        for text in ["1234567890123456789", "0000000000000000001", "-0.000000000000000000"] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::TooLong), "{text:?}");
        }
        for text in ["0", "-0", "12", "12.50", "-12.5", "999999999999999999", "0.00000000000000001"] {
            assert_eq!(decimal(text).to_string(), text);
        }
    }

    #[test]
    fn minor_units_are_exact_or_an_error() {
        use NotMinor::{Negative, TooLarge, TooManyDecimals};
        for (text, exponent, expected) in [
            ("12", 0, Ok(12)),
            ("12.5", 2, Ok(1250)),
            ("12.50", 2, Ok(1250)),
            ("0.001", 3, Ok(1)),
            ("0.1", 2, Ok(10)),
            ("-0.00", 2, Ok(0)),
            ("9999999999999999.99", 2, Ok(999_999_999_999_999_999)),
            ("92233720368547758", 2, Ok(9_223_372_036_854_775_800)),
            ("92233720368547759", 2, Err(TooLarge)),
            ("999999999999999999", 3, Err(TooLarge)),
            ("-1", 2, Err(Negative)),
            ("-1.005", 2, Err(Negative)),
            ("1.005", 2, Err(TooManyDecimals)),
            ("1.0", 0, Err(TooManyDecimals)),
            ("1", 30, Err(TooLarge)),
        ] {
            assert_eq!(decimal(text).minor(exponent), expected, "{text} at {exponent}");
        }
    }

    #[test]
    fn currencies_are_the_ones_with_a_minor_unit() {
        let exponent = |code| Currency::parse(code).map(Currency::exponent);
        assert_eq!([exponent("JPY"), exponent("EUR"), exponent("KWD")], [Some(0), Some(2), Some(3)]);
        for code in ["", "eur", "EU", "EURO", "ABC", "XAU", "XXX"] {
            assert_eq!(exponent(code), None, "{code}");
        }
    }

    #[test]
    fn money_is_shown_with_all_its_decimals_and_never_mixed() {
        let money = |minor, code| Money { minor, currency: Currency::parse(code).unwrap() };
        assert_eq!(money(5, "EUR").to_string(), "EUR 0.05");
        assert_eq!(money(-1_234_567, "KWD").to_string(), "KWD -1234.567");
        assert_eq!(money(i64::MIN, "JPY").to_string(), "JPY -9223372036854775808");
        assert_eq!(money(1, "EUR").checked_add(money(1, "CHF")), None);
        assert_eq!(money(i64::MAX, "EUR").checked_add(money(1, "EUR")), None);
        assert_eq!(money(1, "EUR").checked_add(money(2, "EUR")), Some(money(3, "EUR")));
    }
}
