//! How a command reaches the server: `--server` or `SETTEE_SERVER`, and what to say when nobody answers there.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee::config::Settings;
use settee::error::codes;
use settee::rpc::{Channels, ServiceClient, StaticInstances};
use settee::trace::Tracer;
use settee::{Context, Error};

use crate::failure::Failure;

/// The caller's name in the traces and flow rules of those who are asked.
const NAME: &str = "settee-cli";

/// The variable that names a server for every command.
const VARIABLE: &str = "SETTEE_SERVER";

/// Which server to ask, and how to print what it says.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The settee server to ask.
    #[arg(long, value_name = "ADDR", env = VARIABLE, hide_env_values = true, default_value_t = default_server(), value_parser = address)]
    pub(crate) server: SocketAddr,
    /// Print JSON: results on stdout, errors on stderr.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whether a service is one of settee's own control plane, which the server serves at its own address.
#[must_use]
pub(crate) fn is_control(service: &str) -> bool {
    service.starts_with("settee.")
}

/// A server that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    address: SocketAddr,
    channels: Channels,
}

impl Control {
    /// The server at `address`. Nothing is opened before the first call.
    #[must_use]
    pub(crate) fn at(address: SocketAddr) -> Self {
        let server = StaticInstances::new().otherwise([address]);
        Self { address, channels: Channels::new(Arc::new(server), Tracer::off()) }
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Channels that lead to it whatever the service.
    #[must_use]
    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// A client of one of its services.
    #[must_use]
    pub(crate) fn client<C: ServiceClient>(&self) -> C {
        self.channels.client()
    }

    /// `command`, so that it asks this server when it is typed.
    pub(crate) fn typed(&self, command: &str) -> String {
        format!("{command}{}", server_flag(self.address))
    }

    /// What a call to it failed with; when it was not reached, with the command that starts one.
    pub(crate) fn failed(&self, error: impl Into<Error>) -> Failure {
        let error = error.into();
        let unreached = *error.code() == codes::CONNECT_FAILED;
        let failure = Failure::from(error);
        if !unreached {
            return failure;
        }
        let address = self.address;
        let start =
            if address == default_server() { "settee server".to_owned() } else { format!("settee server --listen {address}") };
        failure
            .with_note(format!("looked for a settee server at {address}; another is named by --server ADDR or {VARIABLE}"))
            .with_note(format!("start one with: {start}"))
    }
}

/// Runs `call` as this program, within `timeout`.
pub(crate) async fn within<F: Future>(timeout: Duration, call: F) -> F::Output {
    Context::root(NAME).with_timeout(timeout).scope(call).await
}

/// The flag that a command needs to ask `server`; empty where it asks that one anyway.
pub(crate) fn server_flag(server: SocketAddr) -> String {
    let named = env::var(VARIABLE).ok().and_then(|named| address(&named).ok());
    if server == named.unwrap_or_else(default_server) { String::new() } else { format!(" --server {server}") }
}

/// Where a server listens unless told otherwise.
#[must_use]
pub(crate) fn default_server() -> SocketAddr {
    Settings::default().server
}

/// Reads an address; `localhost` is the one name that needs no resolver.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| "expected IP:PORT, such as 127.0.0.1:7400 or [::1]:7400".to_owned())
}
