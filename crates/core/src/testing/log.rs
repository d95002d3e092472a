//! The contract of [`Log`]: what every engine must do, whatever it is made of.
//!
//! [`contract`] wants a fresh, empty log for each of its checks; [`survives_reopening`] is for engines whose logs outlive a process.
//! Faults are left to each engine's own tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Certainty;
use crate::id::Offset;
use crate::port::{Append, Appended, Log, ReadLimit, Record, StoreErrorKind, StreamName};

/// More than any check appends.
const ALL: ReadLimit = ReadLimit { records: 10_000, bytes: 64 << 20 };

/// Runs every check, each on a log that `make` has just made.
///
/// # Panics
/// When the engine breaks a promise of the port; the message says which.
pub async fn contract(make: impl AsyncFn() -> Arc<dyn Log>) {
    offsets_are_dense_and_records_come_back(&*make().await).await;
    streams_do_not_see_each_other(&*make().await).await;
    calls_take_effect_in_the_order_in_which_they_are_made(&*make().await).await;
    an_expected_tail_lets_one_of_two_writers_through(&*make().await).await;
    an_expected_tail_counts_what_is_on_its_way(&*make().await).await;
    a_read_keeps_its_limits_and_still_makes_progress(&*make().await).await;
    a_trimmed_offset_gives_the_first_record_that_is_left(&*make().await).await;
    a_batch_without_records_is_refused(&*make().await).await;
}

/// Runs the checks of a log that is opened again. Every call of `open` closes what it gave before, and opens the same place.
///
/// # Panics
/// When the engine breaks a promise of the port; the message says which.
pub async fn survives_reopening(open: impl AsyncFn() -> Arc<dyn Log>) {
    let log = open().await;
    append(&*log, "orders", &["a", "b", "c"], None).await;
    append(&*log, "payments", &["x"], None).await;
    append(&*log, "gone", &["1", "2"], None).await;
    log.trim(&name("orders"), Offset(1)).await.expect("a trim succeeds");
    log.trim(&name("gone"), Offset(2)).await.expect("a trim succeeds");
    drop(log);
    for round in 0..3 {
        let log = open().await;
        assert_eq!(texts(&read(&*log, "orders", 0, ALL).await)[..2], ["1:b", "2:c"], "records outlive their process");
        assert_eq!(append(&*log, "orders", &["d"], None).await, Appended::At(Offset(3 + round)), "offsets go on where they were");
        assert_eq!(tail(&*log, "gone").await, 2, "a stream without records keeps its tail");
        assert_eq!(log.streams().await.expect("streams are listed"), ["gone", "orders", "payments"].map(name));
    }
}

async fn offsets_are_dense_and_records_come_back(log: &dyn Log) {
    assert_eq!(tail(log, "orders").await, 0, "a stream that does not exist has tail 0");
    assert!(read(log, "orders", 0, ALL).await.is_empty(), "a stream that does not exist has no records");
    assert_eq!(append(log, "orders", &["a", "", "c"], None).await, Appended::At(Offset(0)));
    assert_eq!(append(log, "orders", &["d"], None).await, Appended::At(Offset(3)));
    assert_eq!(tail(log, "orders").await, 4);
    assert_eq!(texts(&read(log, "orders", 0, ALL).await), ["0:a", "1:", "2:c", "3:d"]);
    assert_eq!(texts(&read(log, "orders", 2, ALL).await), ["2:c", "3:d"]);
    assert!(read(log, "orders", 4, ALL).await.is_empty(), "there is nothing at the tail");
    assert!(read(log, "orders", 400, ALL).await.is_empty(), "there is nothing behind the tail");
}

async fn streams_do_not_see_each_other(log: &dyn Log) {
    for round in 0..20u64 {
        for stream in ["b", "a/1", "a"] {
            let text = format!("{stream}{round}");
            assert_eq!(append(log, stream, &[&text], None).await, Appended::At(Offset(round)));
        }
    }
    let expected: Vec<String> = (0..20).map(|round| format!("{round}:a/1{round}")).collect();
    assert_eq!(texts(&read(log, "a/1", 0, ALL).await), expected);
    assert_eq!(log.streams().await.expect("streams are listed"), ["a", "a/1", "b"].map(name), "in order of their names");
}

async fn calls_take_effect_in_the_order_in_which_they_are_made(log: &dyn Log) {
    let batches = (0..50).map(|number: u32| Bytes::from(number.to_string()));
    let calls: Vec<_> = batches.map(|payload| log.append(request("orders", vec![payload], None))).collect();
    // Polled in another order than called.
    let answers = futures::future::join_all(calls.into_iter().rev()).await;
    let offsets: Vec<_> = answers.into_iter().rev().map(|answer| answer.expect("an append succeeds")).collect();
    let expected: Vec<_> = (0..50).map(|number| Appended::At(Offset(number))).collect();
    assert_eq!(offsets, expected, "the order is that of the calls");
    let expected: Vec<String> = (0..50).map(|number| format!("{number}:{number}")).collect();
    assert_eq!(texts(&read(log, "orders", 0, ALL).await), expected);
}

async fn an_expected_tail_lets_one_of_two_writers_through(log: &dyn Log) {
    assert_eq!(append(log, "orders", &["a"], Some(1)).await, Appended::TailIs(Offset(0)));
    assert_eq!(append(log, "orders", &["a"], Some(0)).await, Appended::At(Offset(0)));
    assert_eq!(append(log, "orders", &["b"], Some(0)).await, Appended::TailIs(Offset(1)), "a repeated append is told so");
    assert_eq!(append(log, "orders", &["b"], Some(1)).await, Appended::At(Offset(1)));
    assert_eq!(texts(&read(log, "orders", 0, ALL).await), ["0:a", "1:b"], "what was refused is not there");
}

async fn an_expected_tail_counts_what_is_on_its_way(log: &dyn Log) {
    let call =
        |text: &'static str, tail| log.append(request("orders", vec![Bytes::from_static(text.as_bytes())], Some(Offset(tail))));
    let (first, second, third) = futures::join!(call("a", 0), call("b", 0), call("c", 1));
    assert_eq!(first.expect("an append succeeds"), Appended::At(Offset(0)));
    assert_eq!(second.expect("an append is answered"), Appended::TailIs(Offset(1)));
    assert_eq!(third.expect("an append succeeds"), Appended::At(Offset(1)));
    assert_eq!(texts(&read(log, "orders", 0, ALL).await), ["0:a", "1:c"]);
}

async fn a_read_keeps_its_limits_and_still_makes_progress(log: &dyn Log) {
    for text in ["aaaa", "b", "cccc", "d"] {
        append(log, "orders", &[text], None).await;
    }
    append(log, "orders", &["e", "f", "g"], None).await;
    let limited = async |from, records, bytes| texts(&read(log, "orders", from, ReadLimit { records, bytes }).await);
    assert_eq!(limited(0, 2, 1_000).await, ["0:aaaa", "1:b"]);
    assert_eq!(limited(0, 10, 5).await, ["0:aaaa", "1:b"]);
    assert_eq!(limited(2, 10, 1).await, ["2:cccc"], "the first record comes however large it is");
    assert_eq!(limited(5, 1, 1_000).await, ["5:f"], "a read may begin inside a batch");
    let mut seen = Vec::new();
    while let Some(record) = read(log, "orders", seen.len() as u64, ReadLimit { records: 1, bytes: 0 }).await.pop() {
        seen.push(record);
    }
    assert_eq!(seen.len(), 7, "reading one by one gives everything");
}

async fn a_trimmed_offset_gives_the_first_record_that_is_left(log: &dyn Log) {
    append(log, "orders", &["a", "b", "c"], None).await;
    append(log, "orders", &["d"], None).await;
    let trim = async |before| log.trim(&name("orders"), Offset(before)).await.expect("a trim succeeds");
    trim(2).await;
    let first = read(log, "orders", 0, ALL).await.into_iter().next().expect("records are left");
    assert!(first.offset <= Offset(2), "a record that was not trimmed is there");
    assert_eq!(texts(&read(log, "orders", 2, ALL).await), ["2:c", "3:d"]);
    trim(1).await;
    trim(100).await;
    assert_eq!(tail(log, "orders").await, 4, "a trim never moves the tail");
    assert_eq!(append(log, "orders", &["e"], None).await, Appended::At(Offset(4)));
    assert_eq!(texts(&read(log, "orders", 4, ALL).await), ["4:e"]);
    log.trim(&name("nothing"), Offset(7)).await.expect("a stream that does not exist can be trimmed");
    assert_eq!(tail(log, "nothing").await, 0);
}

async fn a_batch_without_records_is_refused(log: &dyn Log) {
    let refused = log.append(request("orders", Vec::new(), None)).await.expect_err("an empty batch is refused");
    assert_eq!((refused.kind(), refused.certainty()), (StoreErrorKind::Limit, Certainty::NotDone));
    assert!(log.streams().await.expect("streams are listed").is_empty(), "a refused append makes no stream");
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("the suite uses allowed names")
}

fn request(stream: &str, batch: Vec<Bytes>, expected_tail: Option<Offset>) -> Append {
    Append { stream: name(stream), batch, expected_tail }
}

async fn append(log: &dyn Log, stream: &str, texts: &[&str], expected_tail: Option<u64>) -> Appended {
    let batch = texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    log.append(request(stream, batch, expected_tail.map(Offset))).await.expect("an append is answered")
}

async fn read(log: &dyn Log, stream: &str, from: u64, limit: ReadLimit) -> Vec<Record> {
    log.read(&name(stream), Offset(from), limit).await.expect("a read succeeds")
}

async fn tail(log: &dyn Log, stream: &str) -> u64 {
    log.tail(&name(stream)).await.expect("a tail is known").0
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| format!("{}:{}", record.offset, String::from_utf8_lossy(&record.payload))).collect()
}
