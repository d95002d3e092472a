//! Dead letters: listing them with their messages, and delivering them again.

use settee::mq::Place;
use settee::mq::control::{DeadLetter, DeadLetterQuery, Replay};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Offset;

use super::broker::Broker;
use super::group::GroupOwner;
use super::record::DeadRecord;
use crate::record::decode;

/// Dead letters of one answer at most, so that their messages fit into a frame in most cases.
const PAGE: usize = 100;
/// Bytes of payload of one answer at most, give or take the last message.
const PAGE_BYTES: usize = 1 << 20;

impl Broker {
    /// Dead letters of a group, by partition and offset.
    pub(super) async fn dead_letters(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, Error> {
        let group = self.topic(&query.topic)?.group(&query.group).ok_or_else(|| no_group(&query.group))?;
        let limit = usize::try_from(query.limit).unwrap_or(PAGE).min(PAGE);
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for owner in &group.owners {
            let Some(after) = start_of(owner.partition.name.partition, query.after) else { continue };
            for offset in owner.dead_after(after, limit - letters.len()) {
                let Some(letter) = self.dead_letter(owner, offset).await? else { continue };
                bytes += letter.payload.len();
                letters.push(letter);
                if bytes >= PAGE_BYTES {
                    return Ok(letters);
                }
            }
        }
        Ok(letters)
    }

    /// What is stored of a dead letter: durable, as it is read from the store.
    async fn dead_letter(&self, owner: &GroupOwner, offset: Offset) -> Result<Option<DeadLetter>, Error> {
        let key = owner.partition.name.dead_key(&owner.group, offset);
        let Some(stored) = self.0.stores.kv.get(&key).await? else { return Ok(None) };
        let record: DeadRecord = decode(&stored.value)?;
        let Some(message) = owner.partition.read_one(record.position).await?.map(|stored| stored.message) else {
            return Ok(None);
        };
        Ok(Some(DeadLetter {
            place: Place { partition: record.partition, offset: offset.0 },
            id: message.id,
            key: message.key,
            headers: message.headers,
            payload: message.payload,
            published: message.published,
            buried: record.buried,
            attempts: record.attempts,
            cause: record.cause,
        }))
    }

    /// Delivers dead letters to their group again: how many still were.
    pub(super) async fn replay(&self, replay: Replay) -> Result<u32, Error> {
        let mut revived = 0;
        for place in replay.places {
            let Some((group, index)) = self.find_group(&replay.topic, &replay.group, place.partition) else { continue };
            let owner = &group.owners[index];
            let Some(position) = owner.dead_position(Offset(place.offset)) else { continue };
            // What was revived before is: a read that failed says nothing about it.
            let read =
                owner.partition.read_one(position).await.map_err(|error| if revived > 0 { error.unknown() } else { error });
            let Some(stored) = read? else { continue };
            let Some(ticket) = owner.revive(stored) else { continue };
            ticket.committed().await?;
            revived += 1;
        }
        Ok(revived)
    }
}

/// Behind which offset of `partition` a page begins; `None` when the partition was listed by an earlier page.
fn start_of(partition: u32, after: Option<Place>) -> Option<Option<Offset>> {
    match after {
        Some(after) if after.partition > partition => None,
        Some(after) if after.partition == partition => Some(Some(Offset(after.offset))),
        _ => Some(None),
    }
}

fn no_group(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, codes::NO_TOPIC, format!("find group {name}: nobody consumed under it"))
}
