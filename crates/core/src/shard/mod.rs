//! How an owner of shards writes: through lanes, one group in flight each (`PROTOCOLS.md` P1).

mod lane;

pub use lane::{Change, GroupOutcome, LANES, Lane, LaneStamp, Position, Step, lane_of};
