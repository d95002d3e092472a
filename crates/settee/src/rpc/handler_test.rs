//! What a caller learns of a handler that fails on its way, and what a handler keeps when its caller has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use settee_core::error::codes;
use settee_core::{Certainty, Context, Error};

use super::rpc_test::{Till, TillClient, channels, listening};
use super::*;
use crate::trace::Tracer;

/// A service that does something and then asks another, which is not there.
#[crate::service("test.Teller")]
pub(crate) trait Teller {
    async fn pass_on(&self) -> Reply<()>;
    async fn states_that_nothing_is_done(&self) -> Reply<()>;
}

#[derive(Default)]
struct Lonely {
    done: AtomicU32,
}

impl Lonely {
    async fn ask_nobody(&self) -> Reply<u64> {
        self.done.fetch_add(1, Ordering::Relaxed);
        Channels::new(Arc::new(StaticInstances::new()), Tracer::off()).client::<TillClient>().double(1).await
    }
}

impl Teller for Lonely {
    async fn pass_on(&self) -> Reply<()> {
        self.ask_nobody().await?;
        Ok(())
    }

    async fn states_that_nothing_is_done(&self) -> Reply<()> {
        let nothing_done = |fault| Error::from(fault).with_certainty(Certainty::NotDone);
        self.ask_nobody().await.map_err(nothing_done)?;
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_passes_on_what_a_step_left_undone_is_not_run_again() {
    let lonely = Arc::new(Lonely::default());
    let listening = listening(Services::new().with(TellerServer::shared(lonely.clone()))).await;
    for teller in [channels(&listening).client(), TellerClient::in_process(lonely.clone())] {
        let error = Error::from(teller.pass_on().await.unwrap_err());
        assert_eq!((error.code(), error.certainty()), (&codes::NO_INSTANCE, Certainty::Unknown));
        assert_eq!(lonely.done.swap(0, Ordering::Relaxed), 1, "what it did before, it did once");
    }
    let error = Error::from(channels(&listening).client::<TellerClient>().states_that_nothing_is_done().await.unwrap_err());
    assert_eq!(error.certainty(), Certainty::NotDone);
    assert_eq!(lonely.done.load(Ordering::Relaxed), 3, "a handler that did nothing is asked again");
}

struct Held(Arc<AtomicU32>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[crate::service("test.Holder")]
pub(crate) trait Holder {
    async fn hold(&self) -> Reply<()>;
    #[rpc(spawn)]
    async fn hold_on_a_task(&self) -> Reply<()>;
}

impl Holder for Arc<AtomicU32> {
    async fn hold(&self) -> Reply<()> {
        let _held = Held(self.clone());
        std::future::pending().await
    }

    async fn hold_on_a_task(&self) -> Reply<()> {
        self.hold().await
    }
}

#[tokio::test]
async fn a_handler_that_never_ends_holds_nothing_beyond_its_deadline() {
    let released = Arc::new(AtomicU32::new(0));
    let listening = listening(Services::new().with(HolderServer::new(released.clone()))).await;
    let holder: HolderClient = channels(&listening).client();
    let context = Context::root("test").with_timeout(Duration::from_millis(50));
    let (here, on_a_task) = context.scope(async { tokio::join!(holder.hold(), holder.hold_on_a_task()) }).await;
    for reply in [here, on_a_task] {
        let error = Error::from(reply.unwrap_err());
        assert_eq!((error.code(), error.certainty()), (&codes::DEADLINE, Certainty::Unknown));
    }
    let both = async {
        while released.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), both).await.expect("both handlers are dropped");
}
