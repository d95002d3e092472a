//! Keeps flow rules: durable, replaced only by someone who saw the present ones, pushed to whoever follows.

mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use settee::flow::RuleSet;
use settee::flow::control::{ApplicationView, FlowControl};
use settee::{Reply, Updates, rpc};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::ShardId;
use settee_core::port::Kv;
use settee_core::{Error, env};
use tokio::sync::watch;

use self::record::StoredRules;
use crate::record::{decode, encode};
use crate::shard::{Change, Shards, key, scan};

/// Where rules lie.
const COMPONENT: &str = "flow";

/// Applications that may have rules or followers: rules live in memory.
const APPLICATIONS: usize = 10_000;

/// The keeper of the rules. Cheap to clone.
#[derive(Clone)]
pub struct FlowRules(Arc<Inner>);

struct Inner {
    shards: Shards,
    applications: Mutex<BTreeMap<String, Kept>>,
}

/// The rules of one application: what was decided last, and what is durable and shown.
#[derive(Default)]
struct Kept {
    decided: RuleSet,
    shown: watch::Sender<RuleSet>,
}

impl Kept {
    /// Whether anything would be lost with it: rules, or somebody who waits for some.
    fn is_used(&self) -> bool {
        self.decided.generation > 0 || self.shown.receiver_count() > 0
    }
}

impl FlowRules {
    /// Loads every rule of the store.
    ///
    /// # Errors
    /// What the store reports, and `Damaged` or `Unsupported` for rules that cannot be read.
    ///
    /// # Cancel safety
    /// Loading changes nothing.
    pub async fn load(kv: &dyn Kv, shards: Shards) -> Result<Self, Error> {
        let mut applications = BTreeMap::new();
        scan(kv, COMPONENT, |_, _, value| {
            let stored: StoredRules = decode(value)?;
            let kept = Kept { decided: stored.rules.clone(), shown: watch::Sender::new(stored.rules) };
            applications.insert(stored.application, kept);
            Ok(())
        })
        .await?;
        Ok(Self(Arc::new(Inner { shards, applications: Mutex::new(applications) })))
    }

    /// The kept rules of `application`, made empty if there are none.
    fn with<T>(&self, application: &str, act: impl FnOnce(&mut Kept) -> T) -> Result<T, Error> {
        let mut applications = self.0.applications.lock();
        let is_full = |applications: &BTreeMap<String, Kept>| applications.len() >= APPLICATIONS;
        if !applications.contains_key(application) && is_full(&applications) {
            applications.retain(|_, kept| kept.is_used());
        }
        if !applications.contains_key(application) && is_full(&applications) {
            let message =
                format!("keep flow rules of {application}: {APPLICATIONS} applications have rules or follow theirs already");
            return Err(Error::new(ErrorKind::Limited, codes::BAD_RULE, message));
        }
        Ok(act(applications.entry(application.to_owned()).or_default()))
    }
}

impl FlowControl for FlowRules {
    async fn follow(&self, application: String) -> Reply<Updates<RuleSet>> {
        let mut rules = self.with(&application, |kept| kept.shown.subscribe())?;
        let (sender, updates) = rpc::updates(1);
        env::spawn(async move {
            rules.mark_changed();
            loop {
                tokio::select! {
                    changed = rules.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
                let newest = rules.borrow_and_update().clone();
                if sender.send(newest).await.is_err() {
                    return;
                }
            }
        });
        Ok(updates)
    }

    async fn put(&self, application: String, rules: RuleSet) -> Reply<RuleSet> {
        rules.check().map_err(|error| Error::new(ErrorKind::Invalid, codes::BAD_RULE, format!("put flow rules: {error}")))?;
        let shard = ShardId::of(application.as_bytes());
        let seen = rules.generation;
        let next = RuleSet { generation: seen.saturating_add(1), ..rules };
        let stored = StoredRules { application, rules: next.clone() };
        let submit = |kept: &mut Kept| {
            if kept.decided == next {
                return Ok(self.0.shards.observe(shard));
            }
            if kept.decided.generation != seen {
                return Err(stale(&stored.application, kept.decided.generation, seen));
            }
            kept.decided = next.clone();
            Ok(self.0.shards.submit(shard, Change::put(key(COMPONENT, shard, stored.application.as_bytes()), encode(&stored))))
        };
        let ticket = self.with(&stored.application, submit)??;
        ticket.committed().await?;
        // Followers see rules only once they are durable; of two puts the later generation stays.
        let newer = |shown: &mut RuleSet| {
            let is_newer = shown.generation < next.generation;
            if is_newer {
                *shown = next.clone();
            }
            is_newer
        };
        self.with(&stored.application, |kept| kept.shown.send_if_modified(newer))?;
        Ok(next)
    }

    async fn rules(&self, application: String) -> Reply<RuleSet> {
        Ok(self.0.applications.lock().get(&application).map(|kept| kept.shown.borrow().clone()).unwrap_or_default())
    }

    async fn applications(&self) -> Reply<Vec<ApplicationView>> {
        Ok(self.0.applications.lock().iter().map(|(name, kept)| view(name, kept)).collect())
    }
}

fn view(application: &str, kept: &Kept) -> ApplicationView {
    let shown = kept.shown.borrow();
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    ApplicationView {
        application: application.to_owned(),
        generation: shown.generation,
        rules: count(shown.rules.len()),
        followers: count(kept.shown.receiver_count()),
    }
}

fn stale(application: &str, present: u64, seen: u64) -> Error {
    let message =
        format!("put flow rules of {application}: they are at generation {present}, yours were read at {seen}; read them again");
    Error::new(ErrorKind::Conflict, codes::BAD_RULE, message)
}

#[cfg(test)]
mod tests {
    use settee::flow::{Limit, Mode, Rule, Side};
    use settee_engines::memory::MemoryKv;

    use super::*;

    fn rules(generation: u64) -> RuleSet {
        let limit = Limit::Concurrency { calls: 8 };
        let rule = Rule {
            name: "few".into(),
            service: "pay.Payment".into(),
            method: None,
            side: Side::Server,
            limit,
            mode: Mode::Enforce,
        };
        RuleSet { generation, rules: vec![rule] }
    }

    #[tokio::test]
    async fn rules_survive_a_restart_and_reach_followers() {
        let kv = Arc::new(MemoryKv::new());
        let keeper = FlowRules::load(&*kv, Shards::open(kv.clone()).await.unwrap()).await.unwrap();
        let mut updates = keeper.follow("payment".into()).await.unwrap();
        assert_eq!(updates.next().await.unwrap().unwrap().generation, 0);
        keeper.put("payment".into(), rules(0)).await.unwrap();
        assert_eq!(updates.next().await.unwrap().unwrap().generation, 1);
        let restarted = FlowRules::load(&*kv, Shards::open(kv.clone()).await.unwrap()).await.unwrap();
        assert_eq!(restarted.rules("payment".into()).await.unwrap(), RuleSet { generation: 1, ..rules(0) });
    }

    #[tokio::test]
    async fn an_application_is_listed_with_its_rules_and_those_who_follow_them() {
        let kv = Arc::new(MemoryKv::new());
        let keeper = FlowRules::load(&*kv, Shards::open(kv.clone()).await.unwrap()).await.unwrap();
        keeper.put("payment".into(), rules(0)).await.unwrap();
        let _follower = keeper.follow("notify".into()).await.unwrap();
        let listed = keeper.applications().await.unwrap();
        let lines = listed.iter().map(|view| (view.application.as_str(), view.generation, view.rules, view.followers));
        assert_eq!(lines.collect::<Vec<_>>(), [("notify", 0, 0, 1), ("payment", 1, 1, 0)]);
    }

    #[tokio::test]
    async fn a_change_based_on_stale_rules_is_refused() {
        let kv = Arc::new(MemoryKv::new());
        let keeper = FlowRules::load(&*kv, Shards::open(kv.clone()).await.unwrap()).await.unwrap();
        keeper.put("payment".into(), rules(0)).await.unwrap();
        let mut other = rules(0);
        other.rules.clear();
        let error = Error::from(keeper.put("payment".into(), other).await.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let error = Error::from(keeper.put("payment".into(), rules(u64::MAX)).await.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Conflict, "the last number there is, which has no next");
    }

    #[tokio::test]
    async fn names_that_nobody_follows_any_more_leave_room_for_others() {
        let kv = Arc::new(MemoryKv::new());
        let keeper = FlowRules::load(&*kv, Shards::open(kv.clone()).await.unwrap()).await.unwrap();
        keeper.put("payment".into(), rules(0)).await.unwrap();
        let _follower = keeper.follow("notify".into()).await.unwrap();
        for number in 2..APPLICATIONS {
            keeper.with(&number.to_string(), |_| ()).unwrap();
        }
        let _late = keeper.follow("late".into()).await.unwrap();
        let names: Vec<_> = keeper.applications().await.unwrap().into_iter().map(|view| view.application).collect();
        assert_eq!(names, ["late", "notify", "payment"]);
    }
}
