//! In which order transactions are listed, and where one page of a list ends and the next begins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settee_core::Timestamp;
use settee_core::id::{ParseXidError, Xid};

/// How a position among the older ones begins.
const OLDER: &str = "older";

/// In which order transactions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// By xid: shard by shard, in each roughly by age.
    #[default]
    Xid,
    /// By begin, the newest first. So come all that have not ended, and the coordinator's last 65,536 of all; what is older follows by
    /// xid. A list that is read while transactions go by may have one twice, at the place where one order ends; none is left out.
    Newest,
}

/// Where a page of a list ended. People and programs hand it on as it is. An xid alone is one too: from there a list goes on by xid,
/// whatever its order is.
///
/// ```
/// use settee::txn::{ListPosition, Xid};
///
/// let xid: Xid = "0700000100000000002a000000000009".parse().unwrap();
/// assert_eq!(ListPosition::from(xid).to_string(), xid.to_string());
/// let newest: ListPosition = format!("1764000000000000-{xid}").parse().unwrap();
/// assert!(matches!(newest, ListPosition::Newest(_, of) if of == xid));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPosition {
    /// Among the newest, behind this one, which began then. As text `MICROSECONDS-XID`.
    Newest(Timestamp, Xid),
    /// Among those that are older than the newest, behind this xid. As text `older-XID`.
    Older(Xid),
    /// Behind this one in the order of xids.
    Xid(Xid),
}

impl From<Xid> for ListPosition {
    fn from(xid: Xid) -> Self {
        Self::Xid(xid)
    }
}

impl fmt::Display for ListPosition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(at, xid) => write!(out, "{}-{xid}", at.micros()),
            Self::Older(xid) => write!(out, "{OLDER}-{xid}"),
            Self::Xid(xid) => xid.fmt(out),
        }
    }
}

impl FromStr for ListPosition {
    type Err = ParseXidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, xid) = text.rsplit_once('-').unwrap_or(("", text));
        match (kind, kind.parse()) {
            (OLDER, _) => xid.parse().map(Self::Older),
            (_, Ok(micros)) => Ok(Self::Newest(Timestamp::from_micros(micros), xid.parse()?)),
            _ => text.parse().map(Self::Xid),
        }
    }
}

impl Serialize for ListPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use settee_core::id::{Generation, ShardId};

    use super::*;

    #[test]
    fn every_position_comes_back_out_of_its_text_and_no_other_text_is_one() {
        let xid = Xid::new(ShardId(7), Generation(1), 42, 9);
        let times = [i64::MIN, -1, 0, 1_764_000_000_000_000, i64::MAX].map(Timestamp::from_micros);
        for position in times.map(|at| ListPosition::Newest(at, xid)).into_iter().chain([ListPosition::Older(xid), xid.into()]) {
            assert_eq!(position.to_string().parse(), Ok(position));
            let json = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<ListPosition>(&json).unwrap(), position);
        }
        for text in [
            "",
            "-",
            "7",
            &format!("-{xid}"),
            "older-",
            &format!("elder-{xid}"),
            &format!("x-{xid}"),
            &format!("{xid}-7"),
            &format!("99999999999999999999-{xid}"),
        ] {
            assert!(text.parse::<ListPosition>().is_err(), "{text}");
        }
    }
}
