//! What is stored of flow rules.

use serde::{Deserialize, Serialize};
use settee::flow::RuleSet;

use crate::record::Record;

/// The rules of one application: `flow/<shard>/<application>`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRules {
    pub(super) application: String,
    pub(super) rules: RuleSet,
}

impl Record for StoredRules {
    const NAME: &'static str = "flow rule set";
    const VERSION: u8 = 1;
}
