//! The books of the ledgers, read from their files, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row, query};

use super::{Movement, OPENED};
use crate::kill::Wrong;

/// What is wrong with the books in these files, in which the movements must be, while nothing is open.
pub(crate) async fn wrong(made: &[Movement], files: &[PathBuf]) -> Vec<Wrong> {
    match futures::future::try_join_all(files.iter().map(|file| read(file))).await {
        Ok(books) => judge(made, &books.concat()),
        Err(error) => vec![Wrong::Lost(format!("the books cannot be read: {error}"))],
    }
}

/// One account as its ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Book {
    account: String,
    balance: i64,
    frozen: i64,
    /// What was entered, by transfer.
    entries: BTreeMap<String, i64>,
}

/// Reads a ledger's file beside the process that has it.
async fn read(file: &Path) -> sqlx::Result<Vec<Book>> {
    let mut connection = SqliteConnectOptions::new().filename(file).read_only(true).connect().await?;
    let mut books = BTreeMap::new();
    for row in query("SELECT account, balance_minor, frozen_minor FROM accounts").fetch_all(&mut connection).await? {
        let account: String = row.try_get(0)?;
        let book = Book { account: account.clone(), balance: row.try_get(1)?, frozen: row.try_get(2)?, entries: BTreeMap::new() };
        books.insert(account, book);
    }
    for row in query("SELECT account, transfer, minor FROM entries").fetch_all(&mut connection).await? {
        if let Some(book) = books.get_mut(row.try_get::<&str, _>(0)?) {
            book.entries.insert(row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(books.into_values().collect())
}

/// Holds the books against the transfers that were acknowledged, while nothing is open.
fn judge(made: &[Movement], books: &[Book]) -> Vec<Wrong> {
    let mut expected: BTreeMap<&str, BTreeMap<String, i64>> = BTreeMap::new();
    for Movement { transfer, debtor, creditor, minor } in made {
        expected.entry(debtor).or_default().insert(transfer.clone(), -minor);
        expected.entry(creditor).or_default().insert(transfer.clone(), *minor);
    }
    let mut wrong = Vec::new();
    for book in books {
        let wanted = expected.remove(book.account.as_str()).unwrap_or_default();
        wrong.extend(book.judge(&wanted));
    }
    wrong.extend(expected.into_keys().map(|account| Wrong::Lost(format!("account {account}"))));
    let sum: i64 = books.iter().map(|book| book.balance - OPENED).sum();
    if sum != 0 {
        wrong.push(Wrong::Lost(format!("the books are not conserved: {sum} cents too many")));
    }
    wrong
}

impl Book {
    fn judge(&self, wanted: &BTreeMap<String, i64>) -> Vec<Wrong> {
        let account = &self.account;
        let missing = wanted.iter().filter(|(transfer, minor)| self.entries.get(*transfer) != Some(minor));
        let mut wrong: Vec<_> =
            missing.map(|(id, minor)| Wrong::Lost(format!("{minor} of transfer {id} at {account}"))).collect();
        let entered: i64 = self.entries.values().sum();
        if self.balance != OPENED + entered {
            let what = format!("account {account} has {} cents, its entries add up to {}", self.balance, OPENED + entered);
            wrong.push(Wrong::Duplicated(what));
        }
        if self.frozen != 0 {
            wrong.push(Wrong::Lost(format!("{} cents of account {account} stay frozen", self.frozen)));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(account: &str, balance: i64, frozen: i64, entries: &[(&str, i64)]) -> Book {
        let entries = entries.iter().map(|(transfer, minor)| ((*transfer).to_owned(), *minor)).collect();
        Book { account: account.to_owned(), balance: OPENED + balance, frozen, entries }
    }

    fn judged(debtor: Book, creditor: Book) -> Vec<String> {
        let made = Movement { transfer: "k".to_owned(), debtor: "a".to_owned(), creditor: "b".to_owned(), minor: 5 };
        let wrong = judge(&[made], &[debtor, creditor]);
        wrong.iter().map(|wrong| wrong.to_string().split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn money_that_is_lost_doubled_or_held_is_told() {
        let (paid, got) = (book("a", -5, 0, &[("k", -5)]), book("b", 5, 0, &[("k", 5)]));
        assert_eq!(judged(paid.clone(), got.clone()), Vec::<String>::new());
        let (nothing, untouched) = (book("a", 0, 0, &[]), book("b", 0, 0, &[]));
        assert_eq!(judged(nothing, untouched.clone()), ["lost", "lost"], "of both sides");
        assert_eq!(judged(paid.clone(), untouched), ["lost", "lost"], "of one side, and the books are not conserved");
        assert_eq!(judged(paid, book("b", 10, 0, &[("k", 5)])), ["duplicated", "lost"], "and the books are not conserved");
        assert_eq!(judged(book("a", -5, 5, &[("k", -5)]), got), ["lost"], "held for ever");
    }
}
