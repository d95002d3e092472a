//! The last good list of each service on disk: a process that starts while the registry is away still finds its callees.
//!
//! What is kept says when it was last known to be good, and is checked when it is read; anything doubtful counts as nothing kept.
//! Left out: what instances of other processes hold. It is a hint to start with, never evidence.
#![expect(clippy::disallowed_methods, reason = "a cache that may be lost is not worth a port; it runs inside env::blocking")]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use settee_core::Timestamp;
use settee_core::registry::InstanceList;

/// Keeps bytes by name. Called inside blocking work, never twice at once for one name.
pub trait ListCache: Send + Sync + 'static {
    /// What was stored last under `name`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Replaces what is stored under `name`, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; what was stored before is still there.
    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// A folder with one file a service.
///
/// ```
/// use settee::registry::{FolderCache, ListCache};
///
/// # let folder = std::env::temp_dir().join("settee-doc-list-cache");
/// let cache = FolderCache::new(&folder);
/// cache.store("pay.Account", b"lists").unwrap();
/// assert_eq!(cache.load("pay.Account").unwrap().unwrap(), b"lists");
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FolderCache {
    folder: PathBuf,
}

impl FolderCache {
    /// Keeps lists in `folder`, which is made when it is first written to. Processes of one registry may share it: of two lists
    /// of a service the one written later stays.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self { folder: folder.as_ref().to_owned() }
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", file_name(name)))
    }
}

impl ListCache for FolderCache {
    fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name, "json")) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let written = self.path(name, &format!("{}.new", std::process::id()));
        let mut file = fs::File::create(&written)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&written, self.path(name, "json"))
    }
}

/// A service's name as a file name: letters, digits, `-` and inner dots as they are, everything else as `%` and its bytes.
fn file_name(name: &str) -> String {
    let mut out = String::new();
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            b'.' if at > 0 => out.push('.'),
            other => out.push_str(&format!("%{other:02x}")),
        }
    }
    out
}

/// A list as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    format: u32,
    /// When the list was last known to be good, in microseconds since 1970.
    pub(super) good_at: Timestamp,
    pub(super) list: InstanceList,
    checksum: u64,
}

/// The format that this version writes, and the only one it reads: an unknown one is as good as nothing.
const FORMAT: u32 = 1;

impl Kept {
    pub(super) fn new(list: InstanceList, good_at: Timestamp) -> Self {
        Self { format: FORMAT, good_at, checksum: list.checksum(), list }
    }

    /// Reads what [`Kept::to_bytes`] wrote; `None` when it is not whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        (kept.format == FORMAT && kept.checksum == kept.list.checksum()).then_some(kept)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use settee_core::registry::Instance;

    use super::*;

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for (name, file) in [("pay.Account", "pay.Account"), ("../x", "%2e.%2fx"), ("a/b", "a%2fb"), (".", "%2e")] {
            assert_eq!(file_name(name), file);
        }
    }

    #[test]
    fn a_torn_or_changed_file_counts_as_nothing_kept() {
        let instance = Arc::new(Instance::new(([127, 0, 0, 1], 7401).into(), "account"));
        let list = InstanceList { instances: vec![instance], ..InstanceList::default() };
        let bytes = Kept::new(list.clone(), Timestamp::from_millis(5)).to_bytes();
        assert_eq!(Kept::read(&bytes).map(|kept| (kept.list, kept.good_at)), Some((list, Timestamp::from_millis(5))));
        assert!(Kept::read(&bytes[..bytes.len() / 2]).is_none());
        let changed = String::from_utf8(bytes).unwrap().replace("7401", "7402");
        assert!(Kept::read(changed.as_bytes()).is_none());
        assert!(Kept::read(b"").is_none());
    }
}
