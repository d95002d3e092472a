//! A demo that is kept for its console ends when it is told to, and its exit code says how the file went, not how it ended.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Few enough to be quick.
const TRANSFERS: &str = "5";

#[test]
fn a_console_that_is_closed_after_the_file_is_no_interrupted_demo() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_settee"));
        demo.args(["demo", "--json", "--console", "--generate", TRANSFERS]);
        let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut report = String::new();
        let said = demo.stdout.as_mut().expect("stdout is a pipe");
        BufReader::new(said).read_line(&mut report).expect("it reports");
        let id = i32::try_from(demo.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it is there to be told");

        let ended = demo.wait().expect("it ends");
        let mut complaints = String::new();
        demo.stderr.take().expect("stderr is a pipe").read_to_string(&mut complaints).expect("it is text");
        assert!(ended.success() && !complaints.contains("error"), "{signal}: {ended}: {complaints}");
    }
}
