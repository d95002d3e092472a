//! What both sides of the comparison can do, and settee's side.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use settee_core::port::{Commit, Kv, Write};
use settee_engines::embedded::{EmbeddedKv, FileDisk};

/// Keys and values to set.
pub(crate) type Pairs = Vec<(Bytes, Bytes)>;

/// A store of keys.
pub(crate) trait Engine: Sized {
    /// Opens it, or makes it.
    async fn open(place: &Path) -> anyhow::Result<Self>;
    /// Sets keys; durable when it returns.
    async fn commit(&self, pairs: Pairs) -> anyhow::Result<()>;
    /// Whether a key is there.
    async fn contains(&self, key: Bytes) -> anyhow::Result<bool>;
    /// Closes it.
    async fn close(self) -> anyhow::Result<()>;
}

/// The embedded engine.
pub(crate) struct Settee(EmbeddedKv);

impl Engine for Settee {
    async fn open(place: &Path) -> anyhow::Result<Self> {
        Ok(Self(EmbeddedKv::open(Arc::new(FileDisk::open(place)?)).await?))
    }

    async fn commit(&self, pairs: Pairs) -> anyhow::Result<()> {
        let writes = pairs.into_iter().map(|(key, value)| Write::Put(key, value)).collect();
        Ok(self.0.commit(Commit { compares: Vec::new(), writes }).await.map(drop)?)
    }

    async fn contains(&self, key: Bytes) -> anyhow::Result<bool> {
        Ok(self.0.get(&key).await?.is_some())
    }

    async fn close(self) -> anyhow::Result<()> {
        self.0.close().await;
        Ok(())
    }
}
