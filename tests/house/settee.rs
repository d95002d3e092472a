//! `settee` for stories: the same program under another name, so that cargo builds it together with the stories.

use std::process::ExitCode;

fn main() -> ExitCode {
    settee_cli::main()
}
