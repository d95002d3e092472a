use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use settee_core::Timestamp;
use settee_core::trace::TraceContext;

use super::super::control::Place;
use super::super::fake::FakeBroker;
use super::*;
use crate::rpc::Reply;

fn delivery(offset: u64) -> Delivery {
    Delivery {
        place: Place { partition: 0, offset },
        attempt: 1,
        id: format!("m{offset}"),
        key: None,
        headers: BTreeMap::new(),
        published: Timestamp::EPOCH,
        payload: "5".into(),
        token: offset + 100,
    }
}

async fn deliver(broker: &FakeBroker, delivery: Delivery) {
    broker.until(|state| !state.consumers.is_empty()).await;
    broker.with(|state| state.consumers.last().unwrap().try_send(delivery)).unwrap();
}

fn subscribe(broker: &FakeBroker, handler: impl MessageHandler) -> Consumer {
    Consumer::subscribe(&broker.messages(), "transfers", "statement", handler, ConsumerOptions::default())
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_only_after_its_handler() {
    let broker = FakeBroker::default();
    let handled = Arc::new(AtomicU32::new(0));
    let (count, seen) = (handled.clone(), broker.clone());
    let consumer = subscribe(&broker, move |_| {
        let (count, seen) = (count.clone(), seen.clone());
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(seen.with(|state| state.acks.is_empty()));
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    deliver(&broker, delivery(7)).await;
    broker.until(|state| !state.acks.is_empty()).await;
    assert_eq!(handled.load(Ordering::Relaxed), 1);
    broker.with(|state| assert_eq!((state.acks[0].place.offset, state.acks[0].token), (7, 107)));
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_is_a_nack_of_its_class() {
    let broker = FakeBroker::default();
    let consumer = subscribe(&broker, async |message: Message| -> Reply<()> {
        match message.place.offset {
            0 => Err(Error::new(ErrorKind::Unavailable, codes::DATABASE_FAILED, "book"))?,
            1 => Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, "read"))?,
            2 => panic!("a bug"),
            _ => std::future::pending().await,
        }
    });
    let table = [NackClass::Retry, NackClass::Reject, NackClass::Retry, NackClass::Retry];
    for offset in 0..4 {
        deliver(&broker, delivery(offset)).await;
    }
    broker.until(|state| state.nacks.len() == 4).await;
    broker.with(|state| {
        state.nacks.sort_by_key(|nack| nack.delivery.place);
        let classes: Vec<_> = state.nacks.iter().map(|nack| nack.class).collect();
        assert_eq!(classes, table);
        assert!(state.acks.is_empty());
    });
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_subscribed_again_for_ever() {
    let broker = FakeBroker::default();
    let consumer = subscribe(&broker, async |_: Message| Ok(()));
    for round in 1..=5 {
        broker.until(|state| state.consumers.len() == 1).await;
        deliver(&broker, delivery(round)).await;
        broker.until(|state| state.acks.len() == usize::try_from(round).unwrap()).await;
        broker.with(|state| state.consumers.clear());
    }
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_handlers_that_run_and_sends_their_answers() {
    let broker = FakeBroker::default();
    let consumer = subscribe(&broker, async |_: Message| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    });
    deliver(&broker, delivery(1)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    consumer.stop().await;
    broker.with(|state| assert_eq!(state.acks.len(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_over_when_the_time_of_a_handler_that_hangs_is_and_what_came_meanwhile_is_left_to_others() {
    let broker = FakeBroker::default();
    let consumer = subscribe(&broker, async |_: Message| std::future::pending().await);
    deliver(&broker, delivery(1)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let stopping = settee_core::Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        deliver(&broker, delivery(2)).await;
    };
    futures::join!(consumer.stop(), later);
    assert!(stopping.elapsed() <= HANDLER_TIMEOUT - Duration::from_secs(4), "{:?}", stopping.elapsed());
    broker.with(|state| {
        let answered: Vec<_> = state.nacks.iter().map(|nack| nack.delivery.place.offset).collect();
        assert_eq!((answered, state.acks.len()), (vec![1], 0));
        assert!(state.consumers[0].is_closed(), "so the broker gives the second to others at once");
    });
}

#[tokio::test(start_paused = true)]
async fn a_handler_works_in_the_trace_of_the_sender_and_with_a_deadline() {
    let broker = FakeBroker::default();
    let trace = TraceContext::root().child();
    let consumer = subscribe(&broker, move |_| async move {
        let context = Context::current();
        assert_eq!(context.trace.trace, trace.trace);
        assert!(context.remaining().is_some_and(|left| left <= HANDLER_TIMEOUT));
        Ok(())
    });
    let headers = [(TRACE_HEADER.to_owned(), trace.to_string())].into();
    deliver(&broker, Delivery { headers, ..delivery(1) }).await;
    broker.until(|state| !state.acks.is_empty() || !state.nacks.is_empty()).await;
    broker.with(|state| assert!(state.nacks.is_empty()));
    consumer.stop().await;
}
