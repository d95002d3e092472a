//! A copy of a ledger's service that somebody started by mistake: it opens the name of the ledger's relay, and is gone again.
//!
//! The relay is fenced then and takes a new identity. What it had published and could not mark is published again under that, and
//! the inbox of its consumers must drop it.

use std::sync::Arc;

use settee::mq::{MessageControl, MessageControlClient};
use settee_core::env;

use super::customers::SHARES;
use super::stage::{Stage, call_context, sleep_between};
use crate::faults::SAFETY;

/// One seed in so many has one.
const SEEDS_WITH: u64 = 5;

/// Between two starts of it, in milliseconds.
const PAUSE: (usize, usize) = (5_000, 30_000);

/// Starts copies now and then, while faults strike.
pub(super) async fn interfere(stage: Arc<Stage>, messages: MessageControlClient) {
    if !stage.world.seed().is_multiple_of(SEEDS_WITH) {
        return;
    }
    loop {
        sleep_between(PAUSE.0, PAUSE.1).await;
        if stage.world.elapsed() >= SAFETY {
            return;
        }
        let share = env::random_below(usize::try_from(SHARES).unwrap_or(1));
        let relay = format!("account.{share}-of-{SHARES}.outbox");
        let opened = call_context().scope(messages.open_producer(relay.clone())).await;
        stage.world.record("relay's name opened", format_args!("{relay} {}", opened.is_ok()));
    }
}
