//! How phase two reaches participants: by service and routing key through the registry, never by connection.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use settee::rpc::{CallOptions, Channel, Channels, Reply, RouteKey};
use settee::txn::{PHASE_TWO, PhaseTwo, PhaseTwoAnswer};
use settee_core::port::BoxFuture;
use settee_core::txn::ATTEMPT_TIMEOUT;

/// The participants, as the coordinator reaches them.
pub trait Participants: Send + Sync + 'static {
    /// Sends phase two of one branch to an instance of `service` that holds `route`.
    ///
    /// # Errors
    /// `FENCE_VIOLATION` when it will never be carried out; anything else is sent again.
    fn phase_two<'a>(
        &'a self,
        service: &'a str,
        route: Option<RouteKey>,
        message: PhaseTwo,
    ) -> BoxFuture<'a, Reply<PhaseTwoAnswer>>;
}

/// Participants over the process's channels.
#[derive(Debug)]
pub struct ChannelParticipants {
    channels: Channels,
    by_service: Mutex<BTreeMap<String, Channel>>,
}

impl ChannelParticipants {
    /// Services that these transactions name at most; beyond, a channel is made anew a call.
    const MAX_CHANNELS: usize = 1_024;

    /// Participants that `channels` find.
    #[must_use]
    pub fn new(channels: Channels) -> Self {
        Self { channels, by_service: Mutex::default() }
    }

    fn channel(&self, service: &str) -> Channel {
        let mut by_service = self.by_service.lock();
        if let Some(channel) = by_service.get(service) {
            return channel.clone();
        }
        let channel = self.channels.channel(service);
        if by_service.len() < Self::MAX_CHANNELS {
            by_service.insert(service.to_owned(), channel.clone());
        }
        channel
    }
}

impl Participants for ChannelParticipants {
    fn phase_two<'a>(
        &'a self,
        service: &'a str,
        route: Option<RouteKey>,
        message: PhaseTwo,
    ) -> BoxFuture<'a, Reply<PhaseTwoAnswer>> {
        let options = CallOptions { route, xid: Some(message.xid), timeout: Some(ATTEMPT_TIMEOUT), ..CallOptions::default() };
        Box::pin(async move { self.channel(service).call(&PHASE_TWO, &message, options).await })
    }
}
