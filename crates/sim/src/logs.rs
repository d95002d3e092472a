//! What the product logs, in a simulation: shown with the events of a traced seed, and counted where it names a state that only
//! the log tells of.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::world::World;

/// Beginnings of messages that tell of a state worth reaching.
const STATES: [(&str, &str); 8] = [
    ("the log ends with a group that was never acknowledged", "torn tail cut"),
    ("the ownership of the shards is lost", "shards lost"),
    ("the log has stopped", "log stopped"),
    ("the store has stopped", "store stopped"),
    ("ended an overdue try", "overdue try ended"),
    ("a run ended and its outcome is unknown", "run ended unknown"),
    ("the outbox's producer was fenced", "relay fenced and reopened"),
    ("a transaction is parked", "transaction parked"),
];

/// Listens to the thread of one seed.
pub(crate) struct Logs {
    world: World,
    traced: bool,
    spans: AtomicU64,
}

impl Logs {
    pub(crate) fn of(world: &World, traced: bool) -> Self {
        Self { world: world.clone(), traced, spans: AtomicU64::new(1) }
    }
}

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let lowest = if self.traced { Level::DEBUG } else { Level::INFO };
        metadata.target().starts_with("settee") && metadata.is_event() && *metadata.level() <= lowest
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        for (_, state) in STATES.iter().filter(|(beginning, _)| line.message.starts_with(beginning)) {
            self.world.reached(state);
        }
        if self.traced {
            let (at, metadata) = (self.world.elapsed().as_secs_f64(), event.metadata());
            eprintln!("{at:>10.3}   {} {}: {}{}", metadata.level(), metadata.target(), line.message, line.fields);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
