//! The names of a simulated folder: what they mean now, and what a power cut leaves of them.

use std::collections::BTreeMap;
use std::io;

use super::file::Contents;

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

/// Names and files.
#[derive(Default)]
pub(super) struct Folder {
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    waiting: Vec<NameChange>,
    files: BTreeMap<FileId, Contents>,
    made: u64,
}

#[derive(Clone)]
enum NameChange {
    Created(String, FileId),
    Removed(String),
    Renamed(String, String, FileId),
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Created(name, id) => {
                names.insert(name, id);
            }
            Self::Removed(name) => {
                names.remove(&name);
            }
            Self::Renamed(from, to, id) => {
                names.remove(&from);
                names.insert(to, id);
            }
        }
    }
}

impl Folder {
    pub(super) fn open(&mut self, name: &str, create: bool) -> io::Result<FileId> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        if !create {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.made += 1;
        let id = FileId(self.made);
        self.files.insert(id, Contents::default());
        self.change(NameChange::Created(name.to_owned(), id));
        Ok(id)
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.change(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let id = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.change(NameChange::Renamed(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.waiting.push(change);
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn contents(&mut self, id: FileId) -> Option<&mut Contents> {
        self.files.get_mut(&id)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Contents> {
        let id = self.names.get(name)?;
        self.files.get_mut(id)
    }

    /// Bytes of all named files; a removed file gives its room back at once.
    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(Contents::len).sum()
    }

    pub(super) fn sync(&mut self) {
        self.waiting.clear();
        self.durable_names.clone_from(&self.names);
    }

    pub(super) fn forget_waiting(&mut self) {
        self.files.values_mut().for_each(Contents::forget_waiting);
    }

    /// Returns how many waiting changes, of names and of files, were kept and lost.
    pub(super) fn crash(&mut self, keep: &mut impl FnMut() -> bool) -> (u64, u64) {
        let (mut kept, mut lost) = (0, 0);
        for change in std::mem::take(&mut self.waiting) {
            if keep() {
                change.apply(&mut self.durable_names);
                kept += 1;
            } else {
                lost += 1;
            }
        }
        self.names.clone_from(&self.durable_names);
        let names = &self.names;
        self.files.retain(|id, _| names.values().any(|named| named == id));
        for contents in self.files.values_mut() {
            let (more_kept, more_lost) = contents.crash(keep);
            kept += more_kept;
            lost += more_lost;
        }
        (kept, lost)
    }
}
