//! No balance and no sum overflows: what would bring one there is refused before anything is decided.

use tempfile::TempDir;

use super::*;
use crate::money::MAX_OPENED_MINOR;

async fn ledger(place: &TempDir) -> Ledger {
    let config = Config { database: place.path().join("ledger.db") };
    Ledger::open(&config, DatabaseOptions::default()).await.unwrap()
}

fn account(account: &str, currency: &str, minor: i64) -> NewAccount {
    NewAccount { account: account.into(), owner: String::new(), currency: currency.into(), minor, closed: false }
}

async fn open(ledger: &Ledger, accounts: Vec<NewAccount>) -> Result<(), Error> {
    Account::open(ledger, String::new(), accounts).await.map_err(Error::from)
}

async fn total(ledger: &Ledger, currency: &str) -> Option<i64> {
    let totals = ledger.totals(String::new()).await.unwrap();
    totals.into_iter().find(|total| total.currency == currency).map(|total| total.minor)
}

#[tokio::test]
async fn a_ledger_is_never_opened_with_more_than_its_sums_can_say() {
    let place = tempfile::tempdir().unwrap();
    let ledger = ledger(&place).await;
    let nearly = MAX_OPENED_MINOR - 1;
    open(&ledger, vec![account("a", "JPY", nearly), account("b", "EUR", 5)]).await.unwrap();

    let refused = open(&ledger, vec![account("c", "EUR", 1), account("d", "JPY", 2)]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Invalid, &codes::BAD_REQUEST));
    assert!(refused.message().contains("minor units of JPY"), "{refused}");
    let many = (0..30).map(|n| account(&format!("m{n}"), "KWD", MAX_OPENED_MINOR)).collect();
    assert_eq!(open(&ledger, many).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!((total(&ledger, "EUR").await, total(&ledger, "KWD").await), (Some(5), None), "all of a request or nothing");

    // What is there already is not counted again, and what still fits is opened.
    open(&ledger, vec![account("a", "JPY", nearly), account("d", "JPY", 1)]).await.unwrap();
    assert_eq!(total(&ledger, "JPY").await, Some(MAX_OPENED_MINOR));
}

#[tokio::test]
async fn accounts_of_a_ledger_from_before_there_was_a_ceiling_count() {
    let place = tempfile::tempdir().unwrap();
    let before = ledger(&place).await;
    open(&before, vec![account("a", "JPY", MAX_OPENED_MINOR)]).await.unwrap();
    let mut tx = before.database.begin().await.unwrap();
    sqlx::query("DROP TABLE opened").execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    drop(before);
    let again = ledger(&place).await;
    assert_eq!(open(&again, vec![account("b", "JPY", 1)]).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_credit_that_does_not_fit_is_refused_before_it_is_decided() {
    let place = tempfile::tempdir().unwrap();
    let ledger = ledger(&place).await;
    open(&ledger, vec![account("a", "JPY", 5)]).await.unwrap();
    let leg = |minor| Leg { transfer: "t".into(), account: "a".into(), minor, currency: "JPY".into() };
    let mut tx = ledger.database.begin().await.unwrap();
    assert!(Credit::attempt(&ledger, &mut tx, &leg(i64::MAX - 5)).await.is_ok());
    let refused = Credit::attempt(&ledger, &mut tx, &leg(i64::MAX - 4)).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(&Refusal::TooLarge));
}

#[tokio::test]
async fn an_account_of_any_turnover_proves_its_balance() {
    let place = tempfile::tempdir().unwrap();
    let ledger = ledger(&place).await;
    open(&ledger, vec![account("a", "JPY", 7), account("b", "JPY", 0)]).await.unwrap();
    let mut tx = ledger.database.begin().await.unwrap();
    let leg = |transfer: &str, minor| Leg { transfer: transfer.into(), account: "a".into(), minor, currency: "JPY".into() };
    for n in 0..20 {
        ledger::add(&mut tx, &leg(&format!("in-{n}"), 999_999_999_999_999_999)).await.unwrap();
        ledger::freeze(&mut tx, &leg("", 999_999_999_999_999_999)).await.unwrap();
        ledger::take(&mut tx, &leg(&format!("out-{n}"), 999_999_999_999_999_999)).await.unwrap();
    }
    ledger::add(&mut tx, &leg("more", 5_000_000_000)).await.unwrap();
    ledger::freeze(&mut tx, &leg("", 4)).await.unwrap();
    ledger::take(&mut tx, &leg("less", 4)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ledger::out_of_balance(&ledger.database).await.unwrap(), 0);
    for wrong in [1_i64, -1, 1 << 32, -(1 << 32)] {
        let mut tx = ledger.database.begin().await.unwrap();
        sqlx::query("UPDATE accounts SET balance_minor = opened_minor + 4999999996 + ?1 WHERE account = 'a'")
            .bind(wrong)
            .execute(&mut tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(ledger::out_of_balance(&ledger.database).await.unwrap(), 1, "{wrong}");
    }
}
