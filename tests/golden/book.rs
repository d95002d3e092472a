//! Every chapter of the book is read: its commands are typed, its files are written, its excerpts are looked up.

use std::path::Path;

use settee_tests::Reader;

use super::SETTEE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_it() {
    read("run-it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model() {
    read("model").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_a_service() {
    read("write-a-service").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn move_money() {
    read("move-money").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_a_service() {
    read("test-a-service").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_a_trace() {
    read("read-a-trace").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_processes_die() {
    read("when-processes-die").await;
}

async fn read(chapter: &str) {
    Reader::of(&format!("docs/book/{chapter}.md"), Path::new(SETTEE)).await.read().await;
}
