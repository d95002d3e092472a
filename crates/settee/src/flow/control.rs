//! What the keeper of the rules answers.

use serde::{Deserialize, Serialize};
use settee_core::flow::RuleSet;

use crate::{Reply, Updates, service};

/// Keeps the rules of every application. Served by `settee server`.
#[service("settee.Flow")]
pub trait FlowControl {
    /// The rules of `application`, now and whenever they change.
    async fn follow(&self, application: String) -> Reply<Updates<RuleSet>>;

    /// Replaces the rules of `application` if their generation is still `rules.generation`; answers with the new set.
    #[rpc(idempotent)]
    async fn put(&self, application: String, rules: RuleSet) -> Reply<RuleSet>;

    /// The rules of `application`.
    #[rpc(idempotent)]
    async fn rules(&self, application: String) -> Reply<RuleSet>;

    /// Every application that has rules or follows them, by name.
    #[rpc(idempotent)]
    async fn applications(&self) -> Reply<Vec<ApplicationView>>;
}

/// An application as the keeper of its rules sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationView {
    /// Its name.
    pub application: String,
    /// How often its rules were changed.
    pub generation: u64,
    /// How many rules it has.
    pub rules: u32,
    /// Processes that follow them now. Each has the present rules, or is about to.
    pub followers: u32,
}
