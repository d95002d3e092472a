//! Taking the shards of a store: the next epoch and a fresh incarnation, in one conditional commit.
//!
//! ```text
//! shard/owner        the incarnation of the one who may write, 16 bytes
//! shard/epoch        generation and epoch of the last ownership
//! shard/lane/<n>     {incarnation, seq} of lane n
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{Epoch, FencingToken, Generation};
use settee_core::planted::Bug;
use settee_core::port::{Commit, Compare, Kv, Outcome, Write};
use settee_core::shard::{LANES, Lane, LaneStamp};
use settee_core::{Error, env};

use crate::record::{self, Record};

const OWNER: Bytes = Bytes::from_static(b"shard/owner");
const EPOCH: Bytes = Bytes::from_static(b"shard/epoch");

/// The generation of a store that was never restored.
const FIRST_GENERATION: Generation = Generation(1);

/// An ownership that was taken.
pub(super) struct Owner {
    pub(super) token: FencingToken,
    incarnation: u128,
}

#[derive(Serialize, Deserialize)]
struct StoredEpoch {
    token: FencingToken,
}

impl Record for StoredEpoch {
    const NAME: &'static str = "shard epoch";
    const VERSION: u8 = 1;
}

impl Owner {
    pub(super) fn lane(&self, index: usize) -> Lane {
        Lane::new(OWNER, lane_key(index), self.stamp())
    }

    fn stamp(&self) -> LaneStamp {
        LaneStamp { incarnation: self.incarnation, seq: 0 }
    }

    fn writes(&self) -> Vec<Write> {
        let epoch = Write::Put(EPOCH, record::encode(&StoredEpoch { token: self.token }));
        let owner = Write::Put(OWNER, Bytes::copy_from_slice(&self.incarnation.to_be_bytes()));
        let lanes = (0..LANES).map(|index| Write::Put(lane_key(index), self.stamp().to_bytes()));
        [epoch, owner].into_iter().chain(lanes).collect()
    }
}

/// Takes the shards: from here on every write of an earlier owner fails.
pub(super) async fn take(kv: &dyn Kv) -> Result<Owner, Error> {
    let stored = kv.get(&EPOCH).await?;
    let (token, unchanged) = match stored {
        None => (FencingToken { generation: FIRST_GENERATION, epoch: Epoch(1) }, Compare::Absent(EPOCH)),
        Some(stored) => {
            let last = record::decode::<StoredEpoch>(&stored.value)?.token;
            let epoch = if Bug::ReusesEpoch.is_planted() { last.epoch } else { last.epoch.next() };
            (FencingToken { epoch, ..last }, Compare::Revision(EPOCH, stored.revision))
        }
    };
    let owner = Owner { token, incarnation: env::random_u128() };
    match kv.commit(Commit { compares: vec![unchanged], writes: owner.writes() }).await? {
        Outcome::Committed(_) => Ok(owner),
        Outcome::Conflict => {
            Err(Error::new(ErrorKind::Conflict, codes::NOT_OWNER, "take the shards: another server took them at the same moment"))
        }
    }
}

fn lane_key(index: usize) -> Bytes {
    format!("shard/lane/{index}").into()
}
