//! A disk that fills up: a tmpfs of a few megabytes, in a mount namespace of its own that is gone when its holder is.
#![expect(clippy::disallowed_methods, reason = "a real file system; nothing of it is simulated")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Mounts, says so, and stays until its stdin ends.
const HOLD: &str = r#"mount -t tmpfs -o "size=$2,mode=0700" none "$1" && echo mounted && exec cat"#;

/// In the order in which they are tried: as root, and as anybody where the kernel lets users make namespaces.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];

/// What fills the disk.
const BALLAST: &str = "ballast";

/// A small disk on a folder, seen only by what is started [within](SmallDisk::enter). Dropping it ends it.
pub struct SmallDisk {
    holder: Child,
    _stdin: ChildStdin,
    folder: PathBuf,
    is_of_user: bool,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes; `None` where nobody lets us.
    pub async fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        for namespace in NAMESPACES {
            let mut command = Command::new("unshare");
            command.args(namespace).args(["sh", "-c", HOLD, "hold"]).arg(folder).arg(bytes.to_string());
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
            let mut holder = command.spawn().ok()?;
            let (stdin, stdout) = (holder.stdin.take()?, holder.stdout.take()?);
            let said = BufReader::new(stdout).lines().next_line().await.ok()?;
            if said.as_deref() == Some("mounted") {
                let is_of_user = namespace.contains(&"--user");
                return Some(Self { holder, _stdin: stdin, folder: folder.to_owned(), is_of_user });
            }
        }
        None
    }

    /// The command behind which a process sees the disk.
    #[must_use]
    pub fn enter(&self) -> Vec<OsString> {
        let target = self.holder.id().unwrap_or_default().to_string();
        let user: &[&str] = if self.is_of_user { &["--user", "--preserve-credentials"] } else { &[] };
        let words = [&["nsenter", "--target", &target, "--mount"], user, &["--"]].concat();
        words.into_iter().map(OsString::from).collect()
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// When the disk fails otherwise than for want of room.
    pub fn fill(&self) {
        let mut ballast = File::create(self.seen_from_here().join(BALLAST)).expect("a file on the disk");
        for size in [1 << 20, 4 << 10] {
            let piece = vec![b'.'; size];
            let full = loop {
                if let Err(error) = ballast.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Panics
    /// When it took nothing.
    pub fn free(&self) {
        fs::remove_file(self.seen_from_here().join(BALLAST)).expect("there is ballast");
    }

    fn seen_from_here(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id().unwrap_or_default()));
        root.join(self.folder.strip_prefix("/").expect("an absolute folder"))
    }
}
