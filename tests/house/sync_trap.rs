//! A sync that fails once: a few lines of C in front of the C library's own, preloaded into the process.
#![expect(clippy::disallowed_methods, reason = "real files and a real compiler; nothing of it is simulated")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Fails the first sync of a file whose path contains a name, after the trap was set: a file that is then removed.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_trapped(int file) {
    const char *trap = getenv("SETTEE_STORY_TRAP"), *name = getenv("SETTEE_STORY_TRAP_FOR");
    char link[64], path[4096];
    if (!trap || !name) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, name) && unlink(trap) == 0;
}

static int sync_by(const char *call, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    if (!is_trapped(file)) return real(file);
    errno = EIO;
    return -1;
}

int fdatasync(int file) { return sync_by("fdatasync", file); }
int fsync(int file) { return sync_by("fsync", file); }
"#;

/// A trap for the syncs of one file.
pub struct SyncTrap {
    library: PathBuf,
    trap: PathBuf,
    name: &'static str,
}

impl SyncTrap {
    /// Compiles a trap, not set, for files whose path contains `name`; `None` where there is no C compiler.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn compile(folder: &Path, name: &'static str) -> Option<Self> {
        let (source, library) = (folder.join("sync_trap.c"), folder.join("sync_trap.so"));
        fs::write(&source, SOURCE).expect("the folder can be written");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
        let compiled = compiler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        compiled.is_ok_and(|status| status.success()).then(|| Self { library, trap: folder.join("trap"), name })
    }

    /// The command behind which a process can be trapped.
    #[must_use]
    pub fn preload(&self) -> Vec<OsString> {
        let variable = |name: &str, value: &Path| {
            let mut variable = OsString::from(format!("{name}="));
            variable.push(value);
            variable
        };
        let library = variable("LD_PRELOAD", &self.library);
        let trap = variable("SETTEE_STORY_TRAP", &self.trap);
        vec!["env".into(), library, trap, variable("SETTEE_STORY_TRAP_FOR", Path::new(self.name))]
    }

    /// Lets the next sync fail.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn set(&self) {
        File::create(&self.trap).expect("the folder can be written");
    }

    /// Whether a sync has failed since.
    #[must_use]
    pub fn has_sprung(&self) -> bool {
        !self.trap.exists()
    }
}
