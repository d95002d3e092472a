//! The counts and control sums by which an ISO 20022 file vouches for itself.

use std::cmp::Ordering;
use std::fmt;

use super::money::{Decimal, pointed};
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
            && stated.value.parse() != Ok(totals.count)
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

fn check_sum(stated: &str, sum: Option<ControlSum>, amounts_read: bool) -> Result<(), String> {
    let stated = Decimal::parse(stated).map_err(|error| error.to_string())?;
    match sum {
        Some(sum) if sum.compare(stated) == Some(Ordering::Equal) => Ok(()),
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
    pub(super) fn compare(self, stated: Decimal) -> Option<Ordering> {
        let (left, right, _) = self.aligned(stated)?;
        Some(left.cmp(&right))
    }

    fn aligned(self, other: Decimal) -> Option<(i128, i128, u8)> {
        let (digits, other_scale) = other.parts();
        let scale = self.scale.max(other_scale);
        let grown = |digits: i128, from: u8| digits.checked_mul(10_i128.checked_pow(u32::from(scale - from))?);
        Some((grown(self.digits, self.scale)?, grown(digits, other_scale)?, scale))
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
        assert_eq!(sum.compare(decimal("10.250")), Some(Ordering::Equal));
        assert_eq!(sum.compare(decimal("10.2")), Some(Ordering::Greater));
        let fine = ControlSum::default().plus(decimal("0.00000000000000001")).unwrap();
        let large = (0..2000).try_fold(fine, |sum, _| sum.plus(decimal("999999999999999999")));
        assert!(large.is_none());
    }
}
