//! The files of the repository, read once: what git tracks or would track, or without git all but hidden and ignored folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// No tracked file may be larger: a clone carries it for ever. Also the most that is read of one.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Folders that are never sources, for a checkout that git does not answer for (an unpacked archive).
const NOT_SOURCES: &[&str] = &["target", "data", "node_modules"];

/// Every file by its path from the root, with `/` on all systems.
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

struct File {
    bytes: u64,
    /// The content of a regular file that is UTF-8 and not over the limit.
    text: Option<String>,
}

impl Tree {
    /// Reads the tree below `root`.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let paths = match tracked(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        let mut files = BTreeMap::new();
        for path in paths {
            // Deleted, but git has not been told yet: not part of the tree any more.
            let Ok(metadata) = fs::symlink_metadata(root.join(&path)) else { continue };
            let bytes = metadata.len();
            let is_read = metadata.is_file() && bytes <= MAX_FILE_BYTES;
            let content = is_read.then(|| fs::read(root.join(&path))).transpose();
            let content = content.with_context(|| format!("read {path}"))?;
            let text = content.and_then(|content| String::from_utf8(content).ok());
            files.insert(path, File { bytes, text });
        }
        Ok(Self { files })
    }

    /// A tree made of these paths and contents.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |text: &str| File { bytes: text.len() as u64, text: Some(text.to_owned()) };
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect() }
    }

    /// All paths, in order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// All paths with the size of the file.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.bytes))
    }

    /// All files that are text, with their content.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), file.text.as_deref()?)))
    }

    /// All Rust sources, with their content.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The content of one file, if it is there and is text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }
}

/// What git tracks or would track; `None` when there is no git, or it does not answer for this folder.
fn tracked(root: &Path) -> Option<Vec<String>> {
    // `safe.directory`: in CI the checkout often belongs to another user, and listing names is harmless.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.current_dir(root).stdin(Stdio::null()).output().ok()?;
    let names = String::from_utf8(output.stdout).ok().filter(|names| output.status.success() && !names.is_empty())?;
    Some(names.split_terminator('\0').map(str::to_owned).collect())
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root.join(&folder)).with_context(|| format!("list {folder}"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list {folder}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let is_folder = entry.file_type().with_context(|| format!("look at {path}"))?.is_dir();
            match is_folder {
                true if is_source_folder(&name) => folders.push(path),
                true => {}
                false => paths.push(path),
            }
        }
    }
    Ok(paths)
}

fn is_source_folder(name: &str) -> bool {
    let is_ours = matches!(name, ".ci" | ".cargo" | ".github");
    is_ours || !(name.starts_with('.') || NOT_SOURCES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_git_our_own_sources_are_seen_and_build_output_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let walked = walk(root).unwrap();
        let loaded = Tree::load(root).unwrap();
        for own in ["Cargo.toml", "xtask/src/tidy/tree.rs", ".ci/run"] {
            assert!(walked.iter().any(|path| path == own), "{own}");
            assert!(loaded.text(own).is_some(), "{own}");
        }
        assert!(loaded.paths().map(str::to_owned).chain(walked).all(|path| !path.starts_with("target/")));
    }
}
