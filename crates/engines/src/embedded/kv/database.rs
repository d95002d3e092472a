//! The tables in redb: how values are stored, read, and changed by a group of commits.
//!
//! ```text
//! meta   "format" -> 1     "revision" -> the last commit's
//! keys   key -> revision u64 LE | CRC32C u32 LE over key, revision and value | value
//! ```
//!
//! redb's own checksums are verified when the file is opened; the one beside each value holds for every read after that.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use settee_core::id::Revision;
use settee_core::port::{Commit, Disk, DiskFile, Event, Outcome, Page, Range, StoreErrorKind, Versioned, Write};

use super::backend::{Backend, Trouble};
use super::failure::{Failure, guarded};
use super::{CACHE_BYTES, FILE};
use crate::embedded::folder::remove_if_there;
use crate::kv::{compared_key, holds, limits};

/// The stored format of this version; anything above it is refused.
const FORMAT: u64 = 1;

/// What a new file is called until it is whole, so that a crash while it is made leaves nothing half made.
const UNFINISHED: &str = "state.redb.new";

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const KEYS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keys");

/// Bytes in front of each value: revision and checksum.
const HEADER: usize = 12;

/// An open database file.
pub(super) struct Opened {
    database: Database,
    trouble: Trouble,
}

/// What a group of commits comes to, once it is durable.
#[derive(Clone)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) events: Vec<Event>,
    pub(super) before: Revision,
    pub(super) after: Revision,
}

impl Opened {
    /// Opens the file of `disk` and verifies all of it, or makes a new one. Returns the revision it is at, too.
    pub(super) fn open(disk: &dyn Disk) -> Result<(Self, Revision), Failure> {
        let file = match disk.open(FILE, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(disk)?,
            opened => opened.map_err(|error| Failure::of_folder("open", &error))?,
        };
        // Each time: a process that was killed right after the rename has left a name that the next power cut takes away.
        disk.sync_folder().map_err(|error| Failure::of_folder("sync the folder", &error))?;
        if file.is_empty().map_err(|error| Failure::of_folder("length", &error))? {
            return Err(Failure::damaged("the file is empty"));
        }
        keep_length(&*file)?;
        let opened = Self::of_file(file)?;
        match opened.verify() {
            Ok(revision) => Ok((opened, revision)),
            Err(failure) => {
                opened.close();
                Err(failure)
            }
        }
    }

    /// Whether this version can read the file, and the revision it is at.
    fn verify(&self) -> Result<Revision, Failure> {
        let (format, revision) = self.guarded(|| Ok((self.meta("format")?, self.meta("revision")?)))?;
        match format {
            FORMAT => Ok(Revision(revision)),
            0 => Err(Failure::damaged("the file does not say its format")),
            newer => {
                let message = format!("the file has format {newer}, this version knows {FORMAT}");
                Err(Failure::new(StoreErrorKind::Newer, message))
            }
        }
    }

    fn of_file(file: Arc<dyn DiskFile>) -> Result<Self, Failure> {
        let (backend, trouble) = Backend::new(file);
        let open = || {
            let mut builder = Builder::new();
            // Costs a scan of the file, and is why a lost or turned bit is reported instead of served.
            builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
            Ok(builder.create_with_backend(backend)?)
        };
        let database = guarded(&trouble, open)?;
        Ok(Self { database, trouble })
    }

    /// Runs `work`, and says what really went wrong if it fails or panics.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
        guarded(&self.trouble, work)
    }

    /// Closes the file. Errors do not matter: whatever was acknowledged is durable.
    pub(super) fn close(self) {
        let Self { database, trouble } = self;
        let _ = guarded(&trouble, || Ok(database.close()?));
    }

    fn meta(&self, name: &str) -> Result<u64, redb::Error> {
        let table = match self.database.begin_read()?.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(0),
            opened => opened?,
        };
        Ok(table.get(name)?.map_or(0, |stored| stored.value()))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Versioned>, redb::Error> {
        let table = self.database.begin_read()?.open_table(KEYS)?;
        let Some(stored) = table.get(key)? else { return Ok(None) };
        decode(key, stored.value()).map(Some)
    }

    pub(super) fn range(&self, range: &Range) -> Result<Page, redb::Error> {
        let read = self.database.begin_read()?;
        let revision = read.open_table(META)?.get("revision")?.map_or(0, |stored| stored.value());
        let mut page = Page { revision: Revision(revision), ..Page::default() };
        if range.from >= range.to {
            return Ok(page);
        }
        let mut bytes = 0;
        for stored in read.open_table(KEYS)?.range::<&[u8]>(range.from.as_ref()..range.to.as_ref())? {
            if page.entries.len() >= range.limit.min(limits::PAGE_KEYS) || bytes >= limits::PAGE_BYTES {
                page.more = true;
                break;
            }
            let (key, value) = stored?;
            let versioned = decode(key.value(), value.value())?;
            bytes += key.value().len() + versioned.value.len();
            page.entries.push((Bytes::copy_from_slice(key.value()), versioned));
        }
        Ok(page)
    }

    /// Applies `commits` in order as one transaction and returns when it is durable.
    ///
    /// `staged` is set just before the step whose failure leaves the outcome open; while it is not, nothing has happened.
    pub(super) fn write(&self, commits: &[Commit], staged: &mut Option<Applied>) -> Result<Applied, redb::Error> {
        let transaction = self.begin_write()?;
        let applied = apply_all(&transaction, commits)?;
        if applied.after == applied.before {
            transaction.abort()?;
            return Ok(applied);
        }
        *staged = Some(applied.clone());
        transaction.commit()?;
        Ok(applied)
    }

    fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // With one phase, damage to the last commit looks like a torn one and is rolled back in silence, although that commit was
        // acknowledged. With two, the commit a file points to is known to be whole, so damage is reported.
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }
}

/// Makes the length durable that the file seems to have. Where the sync of a process before failed, it is only in the page cache;
/// redb writes it into the header as soon as the file is opened, and refuses a file that is shorter than its header says.
fn keep_length(file: &dyn DiskFile) -> Result<(), Failure> {
    let kept = file.len().and_then(|length| file.set_len(length));
    kept.map_err(|error| Failure::of_folder("keep the length", &error))?;
    file.sync().map_err(|error| Failure::new(StoreErrorKind::Poisoned, format!("sync: {error}")))
}

/// Makes the file under another name, so that one with its own name is always whole.
fn create(disk: &dyn Disk) -> Result<Arc<dyn DiskFile>, Failure> {
    let failed = |error: io::Error| Failure::of_folder("create", &error);
    remove_if_there(disk, UNFINISHED).map_err(failed)?;
    let opened = Opened::of_file(disk.open(UNFINISHED, true).map_err(failed)?)?;
    opened.guarded(|| {
        let transaction = opened.begin_write()?;
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(KEYS)?;
        Ok(transaction.commit()?)
    })?;
    opened.close();
    disk.rename(UNFINISHED, FILE).map_err(failed)?;
    disk.open(FILE, false).map_err(failed)
}

fn apply_all(transaction: &WriteTransaction, commits: &[Commit]) -> Result<Applied, redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let mut keys = transaction.open_table(KEYS)?;
    let before = Revision(meta.get("revision")?.map_or(0, |stored| stored.value()));
    let mut applied = Applied { outcomes: Vec::new(), events: Vec::new(), before, after: before };
    for commit in commits {
        let outcome = apply(&mut keys, commit, &mut applied)?;
        applied.outcomes.push(outcome);
    }
    meta.insert("revision", applied.after.0)?;
    Ok(applied)
}

type Keys<'a> = Table<'a, &'static [u8], &'static [u8]>;

fn apply(keys: &mut Keys<'_>, commit: &Commit, applied: &mut Applied) -> Result<Outcome, redb::Error> {
    for compare in &commit.compares {
        let key = compared_key(compare);
        let stored = keys.get(key)?.map(|stored| decode(key, stored.value())).transpose()?;
        if !holds(compare, stored.as_ref().map(|stored| (stored.value.as_ref(), stored.revision))) {
            return Ok(Outcome::Conflict);
        }
    }
    applied.after.0 += 1;
    let revision = applied.after;
    for write in &commit.writes {
        if put(keys, write, revision)? {
            applied.events.push(Event { revision, write: write.clone() });
        }
    }
    Ok(Outcome::Committed(revision))
}

/// Whether anything changed: deleting what does not exist changes nothing.
fn put(keys: &mut Keys<'_>, write: &Write, revision: Revision) -> Result<bool, redb::Error> {
    match write {
        Write::Put(key, value) => {
            keys.insert(key.as_ref(), encode(key, revision, value).as_slice())?;
            Ok(true)
        }
        Write::Delete(key) => Ok(keys.remove(key.as_ref())?.is_some()),
    }
}

fn checksum(key: &[u8], revision: [u8; 8], value: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &revision);
    crc32c::crc32c_append(crc, value)
}

fn encode(key: &[u8], revision: Revision, value: &[u8]) -> Vec<u8> {
    let revision = revision.0.to_le_bytes();
    let mut stored = Vec::with_capacity(HEADER + value.len());
    stored.extend_from_slice(&revision);
    stored.extend_from_slice(&checksum(key, revision, value).to_le_bytes());
    stored.extend_from_slice(value);
    stored
}

fn decode(key: &[u8], stored: &[u8]) -> Result<Versioned, redb::Error> {
    let parts = stored.split_first_chunk::<8>().and_then(|(revision, rest)| {
        let (crc, value) = rest.split_first_chunk::<4>()?;
        (checksum(key, *revision, value) == u32::from_le_bytes(*crc)).then_some((revision, value))
    });
    let Some((revision, value)) = parts else {
        let message = format!("the value of key {} is not what was written", key.escape_ascii());
        return Err(redb::Error::Corrupted(message));
    };
    Ok(Versioned { value: Bytes::copy_from_slice(value), revision: Revision(u64::from_le_bytes(*revision)) })
}
