//! The counts and control sums by which an ISO 20022 file vouches for itself.

use std::fmt;

use super::money::{Decimal, NotDecimal, pointed};
use super::original::StatedTotals;
use super::problem::{Findings, Problem, quoted};

/// How many transfers were read, and what their amounts add up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    count: u64,
    /// `None` once an amount was unreadable or the sum too large.
    sum: Option<ControlSum>,
}

impl Default for Totals {
    fn default() -> Self {
        Self { count: 0, sum: Some(ControlSum::default()) }
    }
}

impl Totals {
    /// Counts a transfer, whose amount may have been unreadable.
    pub(super) fn add(&mut self, amount: Option<Decimal>) {
        self.count += 1;
        self.sum = self.sum.zip(amount).and_then(|(sum, amount)| sum.plus(amount));
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// The text of an element, and where it began.
pub(super) struct Leaf {
    pub(super) line: u64,
    pub(super) value: String,
}

/// `NbOfTxs` and `CtrlSum` as a header states them.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) count: Option<Leaf>,
    pub(super) sum: Option<Leaf>,
}

impl Stated {
    /// The texts, whatever they are worth.
    pub(super) fn as_given(&self) -> StatedTotals {
        let text = |leaf: &Option<Leaf>| leaf.as_ref().map(|leaf| leaf.value.clone());
        StatedTotals { transfers: text(&self.count), control_sum: text(&self.sum) }
    }

    /// Adds what disagrees with `totals` to `findings`. A sum is not judged when an amount in it was unreadable:
    /// that is a finding already.
    pub(super) fn check(&self, totals: &Totals, findings: &mut Findings) {
        if let Some(stated) = &self.count
            && count(&stated.value) != Some(totals.count)
        {
            let reason = format!("<NbOfTxs> is {} but there are {}", quoted(&stated.value), totals.count);
            findings.add(Problem::at(stated.line, reason));
        }
        if let Some(stated) = &self.sum
            && let Err(reason) = check_sum(&stated.value, totals.sum, findings.is_empty())
        {
            findings.add(Problem::at(stated.line, format!("<CtrlSum> {} {reason}", quoted(&stated.value))));
        }
    }
}

/// Digits and nothing else: the parser of the standard library takes a `+` too.
fn count(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn check_sum(stated: &str, sum: Option<ControlSum>, amounts_read: bool) -> Result<(), String> {
    let stated = Number::parse(stated).ok_or_else(|| NotDecimal::Syntax.to_string())?;
    match sum {
        Some(sum) if sum.equals(stated) => Ok(()),
        Some(sum) => Err(format!("is not the sum of the amounts, {sum}")),
        None if amounts_read => Err("cannot be the sum of the amounts, which is larger".into()),
        None => Ok(()),
    }
}

/// A plain sum of decimals across currencies, the way ISO 20022 control sums are made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ControlSum {
    digits: i128,
    scale: u8,
}

impl ControlSum {
    /// The sum with `amount` added, or `None` when it no longer fits (beyond 10^38 at the finest scale seen).
    pub(super) fn plus(self, amount: Decimal) -> Option<Self> {
        let (left, right, scale) = self.aligned(amount)?;
        Some(Self { digits: left.checked_add(right)?, scale })
    }

    /// Compares as numbers: `10.0` equals `10.00`.
    fn equals(self, stated: Number<'_>) -> bool {
        Number::parse(&self.to_string()) == Some(stated)
    }

    fn aligned(self, other: Decimal) -> Option<(i128, i128, u8)> {
        let (digits, other_scale) = other.parts();
        let scale = self.scale.max(other_scale);
        let grown = |digits: i128, from: u8| digits.checked_mul(10_i128.checked_pow(u32::from(scale - from))?);
        Some((grown(self.digits, self.scale)?, grown(digits, other_scale)?, scale))
    }
}

/// A number as written, of any length and less the zeros that change nothing: a sum has more digits than an amount may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    /// Reads `-?[0-9]+(\.[0-9]+)?`.
    fn parse(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: !is_zero && unsigned.len() < text.len(), whole, fraction })
    }
}

impl fmt::Display for ControlSum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&pointed(self.digits < 0, self.digits.unsigned_abs(), self.scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn a_control_sum_compares_as_a_number_and_never_wraps() {
        let sum = ["10", "0.5", "-0.25"].iter().try_fold(ControlSum::default(), |sum, text| sum.plus(decimal(text)));
        let sum = sum.unwrap();
        assert_eq!(sum.to_string(), "10.25");
        assert_eq!(check_sum("10.250", Some(sum), true), Ok(()));
        assert!(check_sum("10.2", Some(sum), true).is_err());
        let fine = ControlSum::default().plus(decimal("0.00000000000000001")).unwrap();
        let large = (0..2000).try_fold(fine, |sum, _| sum.plus(decimal("999999999999999999")));
        assert!(large.is_none());
    }

    #[test]
    fn a_sum_of_many_large_amounts_may_have_more_digits_than_an_amount() {
        let sum = (0..12).try_fold(ControlSum::default(), |sum, _| sum.plus(decimal("9999999999999999.99")));
        for right in ["119999999999999999.88", "00119999999999999999.8800", "119999999999999999.880000000000000000000000000"] {
            assert_eq!(check_sum(right, sum, true), Ok(()), "{right}");
        }
        let long = "9".repeat(100);
        for wrong in ["119999999999999999.87", "119999999999999999.880000000000000000000000001", "-119999999999999999.88", &long]
        {
            assert_eq!(check_sum(wrong, sum, true).unwrap_err(), "is not the sum of the amounts, 119999999999999999.88");
        }
        for zero in ["0", "-0.00", "000.0"] {
            assert_eq!(check_sum(zero, Some(ControlSum::default()), true), Ok(()), "{zero}");
        }
        for unreadable in ["", "-", ".5", "1.", "+1", "1e3", "1.2.3", " 1", "١"] {
            assert_eq!(check_sum(unreadable, sum, true).unwrap_err(), "is not a number", "{unreadable:?}");
        }
    }

    #[test]
    fn a_count_is_digits_and_nothing_else() {
        assert_eq!(["12", "012", "+12", "-0", "", " 12", "1_2"].map(count), [Some(12), Some(12), None, None, None, None, None]);
    }
}
