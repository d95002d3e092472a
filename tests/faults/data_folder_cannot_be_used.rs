//! A server that cannot use its data folder says why and what to do, and leaves the folder as it was.
#![expect(clippy::disallowed_methods, reason = "stories about real folders")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use settee::Error;
use settee::error::{Certainty, ErrorKind, codes};
use settee_server::Engines;
use settee_tests::{Launch, Street, skipped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let mut street = Street::server_only().await;
    let error = refused(&street.folder().join("server")).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, &codes::STORE_LOCKED));
    assert!(error.message().contains("another process") && error.message().contains("folder of its own"), "{error}");

    // The lock goes with the process, not with a file that it left.
    street.kill("server").await;
    street.start_part("server").await;
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (format, newer) = (folder.path().join("FORMAT"), "settee = \"data folder\"\nformat = 9\n");
    fs::write(&format, newer).unwrap();

    let error = refused(folder.path()).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, &codes::STORE_NEWER));
    assert!(error.message().contains("format 9") && error.message().contains("run the version that wrote it"), "{error}");
    assert_eq!(fs::read_to_string(&format).unwrap(), newer);
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_is_refused_before_anything_is_served() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("server");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut launch = Launch::server(Path::new(super::SETTEE), &folder, any, &place.path().join("log"));
    if fs::write(folder.join("probe"), "").is_ok() {
        fs::remove_file(folder.join("probe")).unwrap();
        if !Command::new(WITHOUT_OVERRIDE[0])
            .args(&WITHOUT_OVERRIDE[1..])
            .arg("true")
            .status()
            .is_ok_and(|status| status.success())
        {
            let name = "a_folder_that_may_not_be_written_is_refused_before_anything_is_served";
            return skipped(name, "this user may write everywhere, and setpriv cannot take that away");
        }
        launch = launch.behind(WITHOUT_OVERRIDE);
    }

    let Err(ended) = launch.start().await else { panic!("it serves from a folder that it may not write") };
    assert!(ended.status.is_some_and(|status| !status.success()), "{ended}");
    assert!(ended.log.contains("STO0005") && ended.log.contains("the right to write there"), "{ended}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing was made there");
}

/// Runs a command that the rights of files hold for, also as root.
const WITHOUT_OVERRIDE: [&str; 3] =
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"];

/// Why the engines do not open in `folder`.
async fn refused(folder: &std::path::Path) -> Error {
    let Err(error) = Engines::embedded(folder).await else { panic!("the engines open in {}", folder.display()) };
    assert_eq!(error.certainty(), Certainty::NotDone);
    error
}
