//! Reads a page of the book as a newcomer does: types every command, writes every file, and looks whether it is as the page says.
//!
//! Ports of the page (`127.0.0.1:7400` and so on) are free ones here, and `../settee/` is this checkout.
#![expect(clippy::disallowed_methods, reason = "a reader has real files and real programs")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use settee_core::env;
use tempfile::TempDir;

use crate::local;
use crate::page::{Block, Step, blocks, is_excerpt, is_shown};
use crate::terminal::{Said, Terminal};

/// Where a server listens on every page, unless it says otherwise.
const SERVER: &str = "127.0.0.1:7400";

/// The ports of pages: those of the server and of its services.
const PORTS: std::ops::RangeInclusive<u16> = 7_400..=7_409;

/// The root of this checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the checkout");
    root.to_owned()
}

/// A file of this checkout.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn source(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A reader with an empty folder, a terminal and `settee` on the path.
pub struct Reader {
    page: String,
    terminal: Terminal,
    /// Each port of the page, and the one that it is here.
    ports: BTreeMap<String, String>,
    place: PathBuf,
    bin: PathBuf,
    /// What was not as the page says: all of it is told at the end, because one change often makes several lines wrong.
    wrong: Vec<String>,
    _folder: TempDir,
}

impl Reader {
    /// Somebody who reads `page`, a path from the root of this checkout, with `settee` as the program of that name.
    ///
    /// # Panics
    /// When there is no room for a reader.
    pub async fn of(page: &str, settee: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (place, bin) = (folder.path().join("place"), folder.path().join("bin"));
        for made in [&place, &bin] {
            fs::create_dir(made).expect("a folder");
        }
        let ports = free_ports().await;
        put_settee(&bin, settee, &ports[SERVER]);
        let variables = [
            ("SETTEE_SERVER", ports[SERVER].clone()),
            ("CARGO_TARGET_DIR", target(settee).display().to_string()),
            ("CARGO_NET_OFFLINE", "true".to_owned()),
            // As the workspace has it: what both build is built once.
            ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only".to_owned()),
        ];
        let terminal = Terminal::open(&place, &bin, folder.path(), &variables);
        Self { page: page.to_owned(), terminal, ports, place, bin, wrong: Vec::new(), _folder: folder }
    }

    /// Gives the reader one more program.
    ///
    /// # Panics
    /// When it has one of that name.
    pub fn has(&self, name: &str, program: &Path) {
        symlink(program, self.bin.join(name)).expect("a link");
    }

    /// Does everything that the page says, in order.
    ///
    /// # Panics
    /// When something is not as the page says.
    pub async fn read(&mut self) {
        for block in blocks(&source(&self.page)) {
            match block.language.as_str() {
                "sh" | "console" => self.type_in(&block).await,
                "csv" | "rust" | "toml" => self.copy(&block),
                _ => {}
            }
        }
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }

    async fn type_in(&mut self, block: &Block) {
        let steps = block.steps();
        for (index, step) in steps.iter().enumerate() {
            let next = steps.get(index + 1);
            if block.is("running") {
                self.start(step).await;
            } else if step.command.starts_with("cargo build") {
                self.is_built_in_ci(step);
            } else {
                let exit = if next.is_none() { block.exit() } else { 0 };
                let is_asked_about = next.is_some_and(|next| next.command.starts_with("echo $?"));
                self.run(step, (!is_asked_about).then_some(exit)).await;
            }
        }
    }

    async fn start(&mut self, step: &Step) {
        let (command, shown, here) = (self.here(&step.command), step.shown.clone(), self.ports.clone());
        self.terminal.keep_running(&command, |said| is_shown(&shown, &on_page(&here, said))).await;
    }

    async fn run(&mut self, step: &Step, exit: Option<i32>) {
        let command = self.here(&step.command);
        let Said { lines, exit: ended } = self.terminal.run(&command).await;
        let said = on_page(&self.ports, &lines);
        let place = format!("{}:{}: `{}`", self.page, step.line, step.command);
        let is_right = exit.is_none_or(|exit| exit == ended) && (step.shown.is_empty() || is_shown(&step.shown, &said));
        if !is_right {
            let (said, shown) = (said.join("\n"), step.shown.join("\n"));
            self.wrong.push(format!("{place} exited with {ended} and said:\n{said}\n\nand the page shows:\n{shown}"));
        }
        if let Some(name) = step.command.strip_prefix("cargo new ") {
            // The same versions as here: nothing new is fetched.
            fs::copy(checkout().join("Cargo.lock"), self.place.join(name.trim()).join("Cargo.lock")).expect("a crate");
        }
    }

    /// A build of the whole takes minutes, and CI makes it anyway.
    fn is_built_in_ci(&self, step: &Step) {
        let is_built = source(".ci/run").contains(&step.command);
        assert!(is_built, "{}:{}: .ci/run does not contain `{}`", self.page, step.line, step.command);
    }

    /// A block of code is an excerpt of a file of this checkout, or a file that the reader writes.
    fn copy(&self, block: &Block) {
        let place = format!("{}:{}", self.page, block.line);
        let path = block.options.first().unwrap_or_else(|| panic!("{place}: the code names no file"));
        if checkout().join(path).is_file() {
            assert!(is_excerpt(&block.lines, &source(path)), "{place}: {path} has no such lines");
            return;
        }
        let file = self.place.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, self.here(&in_crate(&block.lines))).expect("a file");
    }

    /// What the page says, with the ports of this machine.
    fn here(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }
}

/// A file of a crate beside the checkout, as text that finds the checkout from anywhere.
#[must_use]
pub fn in_crate(lines: &[String]) -> String {
    let text = lines.join("\n") + "\n";
    text.replace("../settee/", &format!("{}/", checkout().display()))
}

/// A `settee` that listens where it does on the page unless it is told otherwise. Of services of the page this is not true: the
/// variable is set for `settee` alone.
fn put_settee(bin: &Path, settee: &Path, listen: &str) {
    let inner = bin.join("programs");
    fs::create_dir(&inner).expect("a folder");
    symlink(settee, inner.join("settee")).expect("a link");
    let (script, program) = (bin.join("settee"), inner.join("settee"));
    let text = format!("#!/bin/sh\nSETTEE_LISTEN=\"${{SETTEE_LISTEN-{listen}}}\" exec '{}' \"$@\"\n", program.display());
    fs::write(&script, text).expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// What was said, with the ports of the page.
fn on_page(ports: &BTreeMap<String, String>, said: &[String]) -> Vec<String> {
    let line = |line: &String| ports.iter().fold(line.clone(), |text, (page, here)| text.replace(here, page));
    said.iter().map(line).collect()
}

/// The folder that cargo built `program` into.
#[must_use]
pub fn target(program: &Path) -> &Path {
    program.parent().and_then(Path::parent).expect("a program is built into target/PROFILE")
}

/// Ports that were free a moment ago, in the order of the page's: lists are sorted by address. All of them are held until the last
/// is known, so that none comes twice.
async fn free_ports() -> BTreeMap<String, String> {
    let mut held = Vec::new();
    for _ in PORTS {
        let listener = env::listen(local()).await.expect("a port is free");
        held.push((listener.local_addr().expect("an address"), listener));
    }
    held.sort_by_key(|(here, _)| here.port());
    PORTS.zip(&held).map(|(page, (here, _))| (format!("127.0.0.1:{page}"), here.to_string())).collect()
}
