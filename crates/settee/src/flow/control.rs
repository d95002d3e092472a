//! What the keeper of the rules answers.

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
}
