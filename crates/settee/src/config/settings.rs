//! settee's own settings: the table `[settee]` of every process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use settee_core::registry::Share;
use settee_core::rpc::balance::BalancerKind;

use crate::rpc::AllowedHosts;

/// What every process can be told. Durations are in milliseconds, named so.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where `settee server` listens. Default `127.0.0.1:7400`.
    #[serde(deserialize_with = "address")]
    pub server: SocketAddr,
    /// Where this process listens; port 0 takes a free one. Default `127.0.0.1:0`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The names under which browsers reach this process, such as `["pay.bank.example"]`: what its pages and JSON endpoints answer
    /// to beside addresses and `localhost`. Default: none.
    pub allowed_hosts: AllowedHosts,
    /// The part of its services' routing keys that this process holds, as `index/of`, counted from 0. Default: all of them.
    pub share: Option<String>,
    /// Its share of calls relative to other instances. Default 100.
    pub weight: u32,
    /// Where the last good instance lists are kept, for starts while the server is away. Default: nowhere.
    pub cache: Option<PathBuf>,
    /// What picks the instance for each call that this process makes: `p2c`, the less loaded of two that are drawn at random, or
    /// `round_robin`, one after the other. Default `p2c`.
    pub balancer: BalancerKind,
    /// Whether spans are recorded. Default `true`.
    pub trace: bool,
    /// How long calls under way may take to end at a stop. Default 10,000.
    pub drain_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, Self::SERVER_PORT)),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allowed_hosts: AllowedHosts::default(),
            share: None,
            weight: settee_core::registry::Instance::DEFAULT_WEIGHT,
            cache: None,
            balancer: BalancerKind::default(),
            trace: true,
            drain_ms: 10_000,
        }
    }
}

impl Settings {
    /// The port of `settee server`.
    pub const SERVER_PORT: u16 = 7_400;

    /// [`Settings::drain_ms`] as a duration.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// [`Settings::share`], read: `None` inside when it is not set.
    ///
    /// # Errors
    /// `Invalid` (`APP0002`) when it is not `index/of` with `index` below `of`.
    pub fn parsed_share(&self) -> crate::Result<Option<Share>> {
        let Some(text) = &self.share else { return Ok(None) };
        let parts = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((index, of)) if index < of => Ok(Some(Share { index, of })),
            _ => Err(super::layers::bad_value("settee.share", text, "expected `index/of` with index below of, such as \"0/2\"")),
        }
    }
}

/// The parser's own complaint names neither what it read nor how an address looks.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("expected IP:PORT, such as 127.0.0.1:7401, got {text:?}")))
}
