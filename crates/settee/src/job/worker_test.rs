//! A worker over loopback, asked the way a coordinator asks, repeats, and is replaced.

use std::sync::atomic::{AtomicU32, Ordering};

use settee_core::Timestamp;
use settee_core::id::{Epoch, Generation};
use tokio::sync::Notify;

use super::*;
use crate::job::protocol::offer;
use crate::rpc::{Channel, Channels, Listening, ServerConfig, Services, StaticInstances};
use crate::trace::Tracer;

fn order(attempt: u32, epoch: u64) -> RunOrder {
    RunOrder {
        id: RunId { job: "reconcile".into(), version: 1, due: Timestamp::from_millis(1_000), slice: 1 },
        of: 2,
        attempt,
        token: FencingToken { generation: Generation(1), epoch: Epoch(epoch) },
        timeout_ms: 2_000,
        reference: None,
        publisher: 7,
    }
}

async fn serving(worker: Worker) -> (Listening, Channel) {
    let name = worker.service();
    let services = Arc::new(Services::new().with(worker));
    let at = "127.0.0.1:0".parse().unwrap();
    let listening = Listening::start(at, services, Arc::new(()), ServerConfig::default()).await.unwrap();
    let known = StaticInstances::new().otherwise([listening.address()]);
    let channel = Channels::new(Arc::new(known), Tracer::off()).channel(name);
    (listening, channel)
}

/// Counts its starts, and ends when it is told to.
#[derive(Default)]
struct Gate {
    starts: AtomicU32,
    started: Notify,
    open: Notify,
}

fn gated(gate: &Arc<Gate>) -> Job {
    let gate = gate.clone();
    Job::new("reconcile", move |run: Run| {
        let gate = gate.clone();
        async move {
            gate.starts.fetch_add(1, Ordering::Relaxed);
            gate.started.notify_one();
            gate.open.notified().await;
            Ok(format!("{} attempt {}", run.share(), run.attempt()))
        }
    })
}

#[tokio::test]
async fn a_repeated_offer_joins_the_first_and_later_gets_its_saved_result() {
    let gate = Arc::new(Gate::default());
    let (listening, channel) = serving(Worker::new(&gated(&gate))).await;
    let address = listening.address();
    let ask = |order: RunOrder| {
        let channel = channel.clone();
        crate::spawn(async move { offer(&channel, address, &order).await })
    };
    let first = ask(order(1, 1));
    gate.started.notified().await;
    first.abort();
    let second = ask(order(1, 2));
    gate.open.notify_one();
    let expected = Answer::Done { result: r#""1/2 attempt 1""#.into() };
    assert_eq!(second.await.unwrap().unwrap(), expected);
    assert_eq!(offer(&channel, address, &order(1, 2)).await.unwrap(), expected);
    assert_eq!(gate.starts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_replaced_coordinator_an_old_attempt_and_an_order_for_a_dead_process_are_refused() {
    let gate = Arc::new(Gate::default());
    let worker = Worker::new(&gated(&gate)).publisher(7);
    gate.open.notify_one();
    worker.answer(order(2, 5)).await.unwrap();
    let for_another = RunOrder { publisher: 8, ..order(3, 5) };
    for refused in [order(2, 4), order(1, 5), for_another] {
        let error = Error::from(worker.answer(refused).await.unwrap_err());
        assert_eq!((error.code(), error.certainty()), (&codes::RUN_FENCED, Certainty::NotDone));
    }
    assert_eq!(gate.starts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_later_attempt_ends_the_earlier_one() {
    let gate = Arc::new(Gate::default());
    let worker = Arc::new(Worker::new(&gated(&gate)));
    let earlier = {
        let worker = worker.clone();
        crate::spawn(async move { worker.answer(order(1, 1)).await })
    };
    gate.started.notified().await;
    let later = {
        let worker = worker.clone();
        crate::spawn(async move { worker.answer(order(2, 1)).await })
    };
    let error = Error::from(earlier.await.unwrap().unwrap_err());
    assert_eq!((error.code(), error.certainty()), (&codes::RUN_FENCED, Certainty::Unknown));
    gate.started.notified().await;
    gate.open.notify_one();
    assert_eq!(later.await.unwrap().unwrap(), Answer::Done { result: r#""1/2 attempt 2""#.into() });
}

#[tokio::test]
async fn what_a_handler_does_is_an_answer_however_it_ends() {
    let job = Job::new("reconcile", |run: Run| async move {
        match run.attempt() {
            1 => panic!("the ledger is stuck"),
            2 => Err(Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, "prove"))?,
            3 => std::future::pending().await,
            _ => {}
        }
        Ok("x".repeat(MAX_RESULT_BYTES))
    });
    let worker = Worker::new(&job);
    let table = [
        (1, "panicked", Certainty::Unknown),
        (2, "RPC0003", Certainty::NotDone),
        (3, "took longer than 50ms", Certainty::Unknown),
    ];
    for (attempt, text, expected) in table {
        let asked = RunOrder { timeout_ms: 50, ..order(attempt, 1) };
        match worker.answer(asked).await.unwrap() {
            Answer::Failed { cause, certainty } => {
                assert!(cause.contains(text) && certainty == expected, "{cause} {certainty:?}")
            }
            Answer::Done { result } => panic!("{result}"),
        }
    }
    match worker.answer(order(4, 1)).await.unwrap() {
        Answer::Done { result } => assert!(result.contains("omitted"), "{result}"),
        Answer::Failed { cause, .. } => panic!("{cause}"),
    }
}

#[tokio::test]
async fn the_memory_is_bounded_and_never_forgets_a_run_that_goes_on() {
    let job = Job::new("reconcile", |run: Run| async move {
        if run.slice() == 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    let worker = Arc::new(Worker::new(&job));
    let slice = |slice: u32| {
        let order = order(1, 1);
        RunOrder { id: RunId { slice, ..order.id.clone() }, ..order }
    };
    let endless = worker.take(slice(0)).unwrap();
    for number in 1..=u32::try_from(REMEMBERED).unwrap() {
        worker.answer(slice(number)).await.unwrap();
    }
    let memory = worker.memory.lock();
    assert_eq!((memory.runs.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
    assert!(endless.borrow().is_none() && memory.runs.contains_key(&slice(0).id) && !memory.runs.contains_key(&slice(1).id));
}
