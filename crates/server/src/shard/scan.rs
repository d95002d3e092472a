//! Reading everything that a component stored, in order: what loading is made of.

use bytes::Bytes;
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::ShardId;
use settee_core::port::{Kv, Range};

/// Keys of one page.
const PAGE: usize = 1_000;

/// Calls `each` with the shard, the rest of the key and the value of everything that `component` stored, shard by shard, in the
/// order of the keys. An empty store costs one read.
pub(crate) async fn scan(
    kv: &dyn Kv,
    component: &str,
    mut each: impl FnMut(ShardId, &[u8], &Bytes) -> Result<(), Error>,
) -> Result<(), Error> {
    let prefix = format!("{component}/");
    let mut range = Range::prefix(prefix.as_bytes(), PAGE);
    loop {
        let page = kv.range(range.clone()).await?;
        for (key, stored) in &page.entries {
            let (shard, rest) = parts(&prefix, key).ok_or_else(|| foreign(key))?;
            each(shard, rest, &stored.value)?;
        }
        let Some((last, _)) = page.entries.last().filter(|_| page.more) else { return Ok(()) };
        range = range.behind(last);
    }
}

fn parts<'a>(prefix: &str, key: &'a [u8]) -> Option<(ShardId, &'a [u8])> {
    let behind = key.strip_prefix(prefix.as_bytes())?;
    let (shard, rest) = (behind.get(..2)?, behind.get(3..)?);
    let shard = u8::from_str_radix(std::str::from_utf8(shard).ok()?, 16).ok()?;
    Some((ShardId(shard), rest))
}

fn foreign(key: &[u8]) -> Error {
    let message = format!("load: the key {:?} is not one of settee's", String::from_utf8_lossy(key));
    Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, message)
}
