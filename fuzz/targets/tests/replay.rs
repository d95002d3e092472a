//! Everything that the fuzzer ever found, on every `cargo test`, without the fuzzer.
#![expect(clippy::disallowed_methods, reason = "the corpora are files of the repository; nothing of them is simulated")]

use std::fs;
use std::path::{Path, PathBuf};

use settee_fuzz_targets::TARGETS;

/// What is kept of a corpus: a clone carries it for ever.
const MAX_CORPUS_BYTES: u64 = 64 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in `fuzz`").to_owned()
}

/// The files of a folder by name; none if it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a folder that can be listed").path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    files
}

/// Names of a folder, without what stands behind the first dot.
fn stems(folder: &Path) -> Vec<String> {
    let stem = |file: &PathBuf| file.file_name()?.to_str()?.split('.').next().map(str::to_owned);
    files(folder).iter().filter_map(stem).collect()
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target that exists");
    let corpus = files(&fuzz().join("corpus").join(name));
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} has seeds");
    for file in corpus.into_iter().chain(files(&fuzz().join("crashes").join(name))) {
        // Shown when it fails.
        println!("{}", file.display());
        (target.one)(&fs::read(&file).expect("a file that can be read"));
    }
}

macro_rules! replays {
    ($($test:ident = $name:literal;)+) => {
        $(#[test]
        fn $test() {
            replay($name);
        })+

        const REPLAYED: &[&str] = &[$($name),+];
    };
}

replays! {
    no_bytes_of_a_peer_break_the_cutting_of_frames = "bolt_frame";
    no_bytes_of_a_peer_break_the_header_map = "bolt_header";
    no_text_of_an_operator_breaks_the_configuration = "config";
    no_csv_file_of_a_customer_breaks_its_reader = "csv";
    no_body_over_http_breaks_a_call = "json_body";
    no_body_of_a_peer_breaks_its_decoder = "message_pack";
    no_xml_file_of_a_customer_breaks_its_reader = "pain001";
    no_header_of_a_peer_breaks_the_context = "trace_headers";
}

#[test]
fn a_target_is_never_fuzzed_without_being_replayed_nor_the_other_way_round() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(REPLAYED, names);
    assert_eq!(stems(&fuzz().join("fuzz_targets")), names);
    assert_eq!(stems(&fuzz().join("corpus")), names);
    assert!(stems(&fuzz().join("crashes")).iter().all(|name| names.contains(&name.as_str())));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    for name in names {
        let binary = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&binary), "fuzz/Cargo.toml has the binary {name}");
        let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).expect("a target");
        let calls = format!("libfuzzer_sys::fuzz_target!(|input: &[u8]| settee_fuzz_targets::{name}::one(input));\n");
        assert_eq!(source, format!("#![no_main]\n\n{calls}"));
    }
}

#[test]
fn a_clone_does_not_carry_more_of_a_corpus_than_it_needs() {
    for target in TARGETS {
        let sizes =
            files(&fuzz().join("corpus").join(target.name)).into_iter().map(|file| fs::metadata(file).expect("its size").len());
        let bytes: u64 = sizes.sum();
        assert!(bytes <= MAX_CORPUS_BYTES, "fuzz/corpus/{} has {bytes} bytes", target.name);
    }
}
