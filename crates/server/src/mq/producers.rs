//! The producers and their last lives. An identity is given once for each name and never again.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use settee::mq::ProducerRef;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::ShardId;
use settee_core::port::Write;

use super::name::{PRODUCERS, shard_of};
use super::record::ProducerRecord;
use crate::record::encode;
use crate::shard::{Change, Shards, Ticket, key};

/// The shard is in the upper bits of an identity, so that each shard gives its own without asking another.
const SHARD_SHIFT: u32 = 48;

/// Every producer of this server's shards.
#[derive(Default)]
pub(super) struct Producers(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_name: BTreeMap<String, u64>,
    epochs: BTreeMap<u64, u64>,
}

impl Producers {
    /// Takes over what is stored.
    pub(super) fn restore(&self, record: ProducerRecord) {
        let mut known = self.0.lock();
        known.epochs.insert(record.id, record.epoch);
        known.by_name.insert(record.name, record.id);
    }

    /// The next life of the producer called `name`, and a ticket for it.
    pub(super) fn open(&self, name: &str, shards: &Shards) -> (ProducerRef, Ticket) {
        let shard = shard_of(name);
        let mut known = self.0.lock();
        let id = known.by_name.get(name).copied().unwrap_or_else(|| known.next_id(shard));
        let epoch = known.epochs.get(&id).map_or(1, |epoch| epoch.saturating_add(1));
        known.by_name.insert(name.to_owned(), id);
        known.epochs.insert(id, epoch);
        let record = ProducerRecord { name: name.to_owned(), id, epoch };
        let write = Write::Put(key(PRODUCERS, shard, name.as_bytes()), encode(&record));
        let ticket = shards.submit(shard, Change { compares: Vec::new(), writes: vec![write] });
        (ProducerRef { id, epoch }, ticket)
    }

    /// Whether `producer` may publish.
    ///
    /// # Errors
    /// `Conflict` (`MSG0003`) when it is in a later life, or was never opened here.
    pub(super) fn check(&self, producer: ProducerRef) -> Result<(), Error> {
        match self.0.lock().epochs.get(&producer.id) {
            Some(epoch) if *epoch == producer.epoch => Ok(()),
            Some(epoch) => Err(fenced(&format!("its epoch {} is not the last, {epoch}", producer.epoch))),
            None => Err(fenced("it was never opened here")),
        }
    }
}

impl Known {
    fn next_id(&self, shard: ShardId) -> u64 {
        let first = u64::from(shard.0) << SHARD_SHIFT;
        let last = self.epochs.range(first..first + (1 << SHARD_SHIFT)).next_back();
        last.map_or(first, |(id, _)| id + 1)
    }
}

fn fenced(why: &str) -> Error {
    Error::new(ErrorKind::Conflict, codes::PRODUCER_FENCED, format!("publish: the producer may not, {why}"))
}
