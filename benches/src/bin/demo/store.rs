//! One bare process: the rows of one database of the demo, written again with a commit for each local transaction.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use rusqlite::{Connection, Params, params};
use settee_benches::peer;

use crate::rows::{self, Leg, Notification, Order};

/// The databases of the demo.
pub(crate) const DATABASES: [&str; 4] = ["account-1.db", "account-2.db", "payment.db", "notify.db"];

/// Sent outbox rows removed by one commit: what a relay takes at once when there is no hurry.
const REMOVED_AT_ONCE: usize = 64;

const FENCE: &str = "INSERT INTO settee_fence (xid, branch, service, state, claim, saved, deadline_ms, updated_at_ms)
    VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)";
const FENCED: &str = "UPDATE settee_fence SET state = 2, updated_at_ms = ?3 WHERE xid = ?1 AND branch = ?2";
const FIND: &str = "SELECT account, currency, balance_minor, frozen_minor, closed FROM accounts WHERE account = ?1";
const FREEZE: &str = "UPDATE accounts SET frozen_minor = frozen_minor + ?1 WHERE account = ?2";
const TAKE: &str = "UPDATE accounts SET balance_minor = balance_minor - ?1, frozen_minor = frozen_minor - ?1 WHERE account = ?2";
const ADD: &str = "UPDATE accounts SET balance_minor = balance_minor + ?1 WHERE account = ?2";
const ENTER: &str = "INSERT INTO entries (transfer, account, minor) VALUES (?1, ?2, ?3)";
const PUBLISH: &str = "INSERT INTO settee_outbox (topic, message_id, key, headers, payload, not_before_us)
    VALUES ('transfers', ?1, ?2, ?3, ?4, NULL)";
const REMOVE: &str = "DELETE FROM settee_outbox WHERE set_aside IS NULL";
const TRIED: &str = "INSERT INTO orders (id, content, xid) VALUES (?1, ?2, ?3)";
const ENDED: &str = "UPDATE orders SET outcome = ?2 WHERE id = ?1";
const SEEN: &str = "INSERT INTO settee_inbox (consumer_group, topic, message_id, seen_at_ms) VALUES (?1, ?2, ?3, ?4)";
const NOTIFY: &str = "INSERT INTO notifications (transfer_id, text) VALUES (?1, ?2)";

/// Writes all rows of one database.
type Writing = Box<dyn FnOnce(&Store) -> anyhow::Result<()>>;

/// Loads the rows, says so, writes them when it is asked to, and says how many seconds that took.
pub(crate) fn play(told: &[String]) -> anyhow::Result<()> {
    let [database, from, to] = told else { anyhow::bail!("database, source and target are named") };
    let source = Connection::open(from).with_context(|| format!("open {from}"))?;
    let writing: Writing = match database.as_str() {
        "payment.db" => {
            let orders = rows::orders(&source)?;
            Box::new(move |store: &Store| orders.iter().try_for_each(|order| store.order(order)))
        }
        "notify.db" => {
            let notifications = rows::notifications(&source)?;
            Box::new(move |store: &Store| notifications.iter().try_for_each(|notification| store.notification(notification)))
        }
        _ledger => {
            let legs = rows::legs(&source)?;
            Box::new(move |store: &Store| store.legs(&legs))
        }
    };
    let store = Store::create(&source, Path::new(to))?;
    let mut writing = Some(writing);
    peer::say("ready")?;
    peer::serve(|_| {
        let (write, start) = (writing.take()?, Instant::now());
        Some(write(&store).map(|()| start.elapsed().as_secs_f64().to_string()))
    })
}

/// The database that is written.
struct Store(Connection);

impl Store {
    /// An empty database with the tables of `source`, and its accounts.
    fn create(source: &Connection, place: &Path) -> anyhow::Result<Self> {
        let target = Connection::open(place)?;
        target.execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA foreign_keys = on")?;
        for statement in rows::schema(source)? {
            target.execute_batch(&statement)?;
        }
        rows::copy_accounts(source, &target)?;
        Ok(Self(target))
    }

    fn order(&self, order: &Order) -> anyhow::Result<()> {
        self.commit(|| self.run(TRIED, params![order.id, order.content, order.xid]))?;
        self.commit(|| self.run(ENDED, params![order.id, order.outcome]))
    }

    fn notification(&self, row: &Notification) -> anyhow::Result<()> {
        self.commit(|| {
            self.run(SEEN, params![row.group, row.topic, row.message, row.seen_at_ms])?;
            self.run(NOTIFY, params![row.transfer, row.text])
        })
    }

    fn legs(&self, legs: &[Leg]) -> anyhow::Result<()> {
        for (index, leg) in legs.iter().enumerate() {
            self.commit(|| self.attempt(leg))?;
            self.commit(|| self.confirm(leg))?;
            if index % REMOVED_AT_ONCE == 0 {
                self.commit(|| self.0.prepare_cached(REMOVE)?.execute([]).map(drop).context("remove sent rows"))?;
            }
        }
        Ok(())
    }

    fn attempt(&self, leg: &Leg) -> anyhow::Result<()> {
        self.run(FENCE, params![leg.xid, leg.branch, leg.service, leg.claim, leg.saved, leg.deadline_ms, leg.updated_at_ms])?;
        let found: String = self.0.prepare_cached(FIND)?.query_row([&leg.account], |row| row.get(0))?;
        ensure!(found == leg.account, "the account is not there");
        if leg.is_debit() { self.run(FREEZE, params![-leg.minor, leg.account]) } else { Ok(()) }
    }

    fn confirm(&self, leg: &Leg) -> anyhow::Result<()> {
        if leg.is_debit() {
            self.run(TAKE, params![-leg.minor, leg.account])?;
            self.run(PUBLISH, params![leg.transfer, leg.transfer, leg.claim, leg.saved])?;
        } else {
            self.run(ADD, params![leg.minor, leg.account])?;
        }
        self.run(ENTER, params![leg.transfer, leg.account, leg.minor])?;
        self.run(FENCED, params![leg.xid, leg.branch, leg.updated_at_ms])
    }

    /// Changes exactly one row.
    fn run(&self, statement: &str, values: impl Params) -> anyhow::Result<()> {
        let changed = self.0.prepare_cached(statement)?.execute(values).with_context(|| statement.to_owned())?;
        ensure!(changed == 1, "{changed} rows changed by: {statement}");
        Ok(())
    }

    fn commit(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.0.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        work()?;
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}
