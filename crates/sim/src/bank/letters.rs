//! Keyed messages beside the transfers: one writer a key, and a recorder whose effects are outside of any database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use settee::app::App;
use settee::error::codes;
use settee::mq::{Consumer, ConsumerOptions, Message, Messages, Outgoing, Place, Producer};
use settee::{Certainty, Error, ErrorKind, Reply};
use settee_core::env;

use super::desk::{Clerk, DeskServer, UnderWay};
use super::stage::{Stage, call_context, sleep_between};
use crate::faults::SAFETY;

/// Their topic, and the group that records them.
pub(super) const TOPIC: &str = "letters";
pub(super) const GROUP: &str = "recorder";

/// Keys, each with a writer of its own.
const KEYS: usize = 4;

/// Bytes of a letter at most: from one sector of a disk to several, so that a group of the log can be torn.
const LONGEST: usize = 3_000;

/// Handlers of a recorder that may run at a time: fewer than there are keys, so that its credit is what holds the others back.
pub(super) const HANDLERS: usize = 2;

/// How long letters are written: into the liveness phase, where all must arrive.
const WRITING: Duration = Duration::from_secs(4);

/// Letters whose number leaves this remainder fail at their first delivery.
const FAILS_ONCE: u64 = 9;

/// This letter of the first key can never be read.
const POISON: u64 = 5;

/// A letter's identity: its key and its number under that key, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) key: String,
    pub(super) number: u64,
}

impl Letter {
    fn id(&self) -> String {
        format!("{}/{}", self.key, self.number)
    }

    /// Reads what [`Letter::id`] wrote.
    pub(super) fn read(id: &str) -> Option<Self> {
        let (key, number) = id.split_once('/')?;
        Some(Self { key: key.to_owned(), number: number.parse().ok()? })
    }
}

/// What is known of all letters.
#[derive(Default)]
pub(super) struct Letters(Mutex<Known>);

/// What is known of all letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) attempted: BTreeSet<Letter>,
    pub(super) acknowledged: BTreeMap<Letter, Place>,
    /// Effects in the order in which they happened, repeats included.
    pub(super) effects: Vec<Letter>,
    together: usize,
    /// Where each letter that had an effect was stored.
    pub(super) stored: BTreeMap<Letter, BTreeSet<Place>>,
}

impl Known {
    fn takes_effect(&mut self, letter: Letter, place: Place) {
        self.stored.entry(letter.clone()).or_default().insert(place);
        self.effects.push(letter);
    }
}

impl Letters {
    /// The most handlers that ran together in one process.
    pub(super) fn together(&self) -> usize {
        self.0.lock().together
    }

    fn handles(&self, now: usize) {
        let mut known = self.0.lock();
        known.together = known.together.max(now);
    }

    pub(super) fn known(&self) -> Known {
        self.0.lock().clone()
    }
}

/// Starts a writer for each key.
pub(super) fn write(stage: &Arc<Stage>, messages: &Messages) {
    for key in 0..KEYS {
        env::spawn(write_key(stage.clone(), messages.clone(), format!("k{key}")));
    }
}

async fn write_key(stage: Arc<Stage>, messages: Messages, key: String) {
    let producer = loop {
        match Producer::open(&messages, &format!("letters.{key}")).await {
            Ok(producer) => break producer,
            Err(_) => sleep_between(100, 500).await,
        }
    };
    let mut number = 0;
    while stage.world.elapsed() < SAFETY + WRITING {
        sleep_between(100, 1_500).await;
        number += 1;
        let letter = Letter { key: key.clone(), number };
        stage.letters.0.lock().attempted.insert(letter.clone());
        let text = ".".repeat(env::random_below(LONGEST)).into_bytes();
        let outgoing = Outgoing::new(letter.id(), text).with_key(key.clone());
        let sent = call_context().scope(producer.send(TOPIC, outgoing)).await;
        told(&stage, letter, sent);
    }
}

fn told(stage: &Stage, letter: Letter, sent: Result<Place, Error>) {
    match sent {
        Ok(place) => {
            stage.world.record("letter acknowledged", letter.id());
            stage.world.reached("letter acknowledged");
            stage.letters.0.lock().acknowledged.insert(letter, place);
        }
        Err(error) => {
            stage.world.record("letter not acknowledged", format_args!("{} {error}", letter.id()));
            stage.world.reached("letter not acknowledged");
            if error.certainty() == Certainty::NotDone {
                stage.letters.0.lock().attempted.remove(&letter);
            }
        }
    }
}

/// The recorder: its effect is a line in the notes. Beside it, a desk.
pub(super) async fn recorder(app: App, stage: Arc<Stage>) -> Result<App, Error> {
    let desk = DeskServer::new(Clerk::new(stage.clone(), app.flow()));
    let (messages, together) = (app.messages(), Arc::new(AtomicUsize::new(0)));
    let handler = move |message| record(stage.clone(), together.clone(), message);
    Ok(app.serve(desk).background(move |shutdown| async move {
        let options = ConsumerOptions { concurrency: u32::try_from(HANDLERS).unwrap_or(1) };
        let consumer = Consumer::subscribe(&messages, TOPIC, GROUP, handler, options);
        shutdown.requested().await;
        consumer.stop().await;
    }))
}

async fn record(stage: Arc<Stage>, together: Arc<AtomicUsize>, message: Message) -> Reply<()> {
    let (_under_way, now) = UnderWay::enter(&together);
    stage.letters.handles(now);
    let Some(letter) = Letter::read(&message.id) else {
        stage.violated("I4", format_args!("nobody wrote a letter called {:?}", message.id));
        return Ok(());
    };
    sleep_between(0, 40).await;
    if message.attempt > 1 {
        stage.world.reached("letter delivered again");
    }
    if letter.number == POISON && letter.key == "k0" {
        return Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, "read a letter: it is poison").into());
    }
    if letter.number % FAILS_ONCE == 0 && message.attempt == 1 {
        return Err(Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, "take a letter: not now").into());
    }
    stage.world.record("letter", letter.id());
    stage.letters.0.lock().takes_effect(letter, message.place);
    Ok(())
}
