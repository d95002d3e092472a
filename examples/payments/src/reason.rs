//! Which reason an order is refused with: what is wrong with its amount, and which of two refusals is told.

use settee::{Fault, Reply, refuse};

use crate::api::{Refusal, Transfer};
use crate::money::{Currency, Decimal, NotMinor};

/// The reason to give when one side or both said no. A failure of either comes first: the order is then tried again.
pub(crate) fn first_refusal(debit: Option<Fault<Refusal>>, credit: Option<Fault<Refusal>>) -> Reply<(), Refusal> {
    match (debit, credit) {
        (None, None) => Ok(()),
        (Some(Fault::Failed(error)), _) | (_, Some(Fault::Failed(error))) => Err(Fault::Failed(error)),
        (Some(Fault::Refused(one)), Some(Fault::Refused(other))) => {
            Err(refuse(if other.rank() < one.rank() { other } else { one }))
        }
        (Some(only), None) | (None, Some(only)) => Err(only),
    }
}

/// What is moved, in minor units of its currency.
pub(crate) fn amount(order: &Transfer) -> Reply<i64, Refusal> {
    let invalid = || refuse(Refusal::InvalidAmount);
    let amount = Decimal::parse(&order.amount).map_err(|_| invalid())?;
    if amount.is_zero() {
        return Err(refuse(Refusal::ZeroAmount));
    }
    let currency = Currency::parse(&order.currency).ok_or_else(invalid)?;
    match amount.minor(currency.exponent()) {
        // Nothing is wrong with it but that no account holds so much: the accounts come first, and the funds then fall short.
        Err(NotMinor::TooLarge) => Ok(i64::MAX),
        minor => minor.map_err(|_| invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_no_account_holds_is_no_reason_before_the_accounts_were_looked_at() {
        let of = |amount: &str, currency: &str| {
            let [id, debtor, creditor, text] = ["t", "a", "b", ""].map(str::to_owned);
            let (amount, currency) = (amount.to_owned(), currency.to_owned());
            super::amount(&Transfer { id, debtor, creditor, amount, currency, text })
        };
        assert_eq!(of("999999999999999999", "EUR").unwrap(), i64::MAX);
        assert_eq!(of("999999999999999999", "JPY").unwrap(), 999_999_999_999_999_999);
        for (amount, currency, reason) in [
            ("-999999999999999999", "EUR", Refusal::InvalidAmount),
            ("99999999999999.9999", "EUR", Refusal::InvalidAmount),
            ("0.00", "EUR", Refusal::ZeroAmount),
        ] {
            assert_eq!(of(amount, currency).unwrap_err().refusal(), Some(&reason), "{amount} {currency}");
        }
    }
}
