use std::time::Duration;

use futures::future::join_all;
use settee_core::Context;
use settee_core::error::{Certainty, codes};

use super::super::fake::{FakeBroker, Planned};
use super::*;

async fn producer(broker: &FakeBroker) -> Producer {
    Producer::open(&broker.messages(), "account").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_under_the_same_number() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.plan.extend([Planned::AnswerLost, Planned::Lost, Planned::AnswerLost]));
    let place = producer.send("transfers", Outgoing::new("m1", "5")).await.unwrap();
    assert_eq!(place, Place { partition: 0, offset: 0 });
    broker.with(|state| {
        assert_eq!(state.stored, ["m1"]);
        assert!(state.publishes.iter().all(|publish| publish.messages[0].sequence == 1));
    });
}

#[tokio::test(start_paused = true)]
async fn the_order_of_sending_is_the_order_of_storing_whatever_is_repeated() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.plan.extend([Planned::Lost, Planned::AnswerLost]));
    let mut places = Vec::new();
    for round in 0..12 {
        let sends = (0..50).map(|number| producer.send("transfers", Outgoing::new((round * 50 + number).to_string(), "")));
        places.extend(join_all(sends).await);
    }
    assert!((0..).zip(&places).all(|(offset, place)| place.as_ref().unwrap().offset == offset));
    let expected: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    broker.with(|state| assert_eq!(state.stored, expected));
    broker.with(|state| assert!(state.publishes.len() < 30, "in batches"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_with_an_unknown_outcome() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.plan.extend([Planned::Lost; 100]));
    let context = Context::root("test").with_timeout(Duration::from_secs(1));
    let error = context.scope(producer.send("transfers", Outgoing::new("m1", ""))).await.unwrap_err();
    assert_eq!((error.code(), error.certainty()), (&codes::DEADLINE, Certainty::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_answers_ends_the_patience_with_an_unknown_outcome() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.plan.extend([Planned::Lost; 1_000]));
    let error = producer.send("transfers", Outgoing::new("m1", "")).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_the_end_says_nothing_about_a_message_that_may_be_stored_since_the_first_attempt() {
    for (first, certainty) in [(Planned::Full, Certainty::NotDone), (Planned::AnswerLost, Certainty::Unknown)] {
        let broker = FakeBroker::default();
        let producer = producer(&broker).await;
        broker.with(|state| state.plan.extend([first].into_iter().chain([Planned::Full; 1_000])));
        let error = producer.send("transfers", Outgoing::new("m1", "")).await.unwrap_err();
        assert_eq!((error.code(), error.certainty()), (&codes::STORE_FULL, certainty));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_producer_stops_at_once() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.plan.push_back(Planned::Fenced));
    let error = producer.send("transfers", Outgoing::new("m1", "")).await.unwrap_err();
    assert_eq!(error.code(), &codes::PRODUCER_FENCED);
    broker.with(|state| assert_eq!(state.publishes.len(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_a_limit_is_refused_alone() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    let large = producer.send("transfers", Outgoing::new("large", vec![0; 2 << 20]));
    let small = producer.send("transfers", Outgoing::new("small", ""));
    let (large, small) = tokio::join!(large, small);
    assert_eq!(large.unwrap_err().code(), &codes::MESSAGE_TOO_LARGE);
    assert!(small.is_ok());
}

#[tokio::test(start_paused = true)]
async fn headers_count_too_so_messages_that_are_sent_together_fit_one_frame() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    // While the first request is repeated, the others gather.
    broker.with(|state| state.plan.push_back(Planned::Lost));
    let sends = (0..400).map(|number| {
        let (headers, key) = ([("note".to_owned(), "x".repeat(16_000))].into(), "k".repeat(500));
        producer.send("transfers", Outgoing { headers, ..Outgoing::new(format!("{number:0500}"), "").with_key(key) })
    });
    assert!(join_all(sends).await.into_iter().all(|sent| sent.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_sender_travels_with_the_message() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    let context = Context::root("test");
    let trace = context.trace.trace;
    context.scope(producer.send("transfers", Outgoing::new("m1", ""))).await.unwrap();
    let header = broker.with(|state| state.publishes[0].messages[0].headers[TRACE_HEADER].clone());
    assert_eq!(header.parse::<settee_core::trace::TraceContext>().unwrap().trace, trace);
}

#[tokio::test(start_paused = true)]
async fn topics_that_were_sent_to_once_do_not_fill_the_memory_for_ever() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    for number in 0..MAX_LANES * 2 + 1 {
        producer.send(&format!("t{number}"), Outgoing::new(number.to_string(), "")).await.unwrap();
    }
    assert!(producer.0.lanes.lock().topics.len() <= MAX_LANES);
    producer.send("t0", Outgoing::new("again", "")).await.unwrap();
    let last = broker.with(|state| state.publishes.last().unwrap().messages[0].sequence);
    assert_eq!(usize::try_from(last).unwrap(), MAX_LANES * 2 + 2, "in order with what was sent before");
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_never_forgotten_while_a_message_is_on_its_way_also_when_its_sender_has_left() {
    let broker = FakeBroker::default();
    let producer = producer(&broker).await;
    broker.with(|state| state.is_silent = true);
    for number in 0..MAX_LANES {
        let (topic, message) = (format!("t{number}"), Outgoing::new(number.to_string(), ""));
        let left = tokio::time::timeout(Duration::from_millis(1), producer.send(&topic, message)).await;
        assert!(left.is_err(), "the broker is silent");
    }
    let refused = producer.send("one.more", Outgoing::new("m", "")).await.unwrap_err();
    assert_eq!((refused.code(), refused.certainty()), (&codes::CONCURRENCY_LIMITED, Certainty::NotDone));
    broker.with(|state| state.is_silent = false);
    broker.until(|state| state.stored.len() == MAX_LANES).await;
    producer.send("one.more", Outgoing::new("m", "")).await.unwrap();
}
