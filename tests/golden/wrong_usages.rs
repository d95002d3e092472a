//! What a newcomer does wrong, and what is said then: `wrong_usages.md` has each of them, word by word.

use std::path::Path;

use settee_tests::Reader;

use super::SETTEE;
use super::readme::programs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_usage_is_answered_by_what_was_wrong_where_and_what_to_type_next() {
    let programs = programs().await;
    let mut reader = Reader::of("tests/golden/wrong_usages.md", Path::new(SETTEE)).await;
    reader.has("account", &programs.join("readme-account"));
    reader.has("bank", &programs.join("readme-bank"));
    reader.read().await;
}
