//! Which processes a demo has, and how each is started: the binary starts itself again, with a hidden command.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use settee_core::registry::Share;

/// How many ledgers the accounts are spread over.
pub(crate) const LEDGERS: u32 = 2;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The coordinator.
    Server,
    /// The account service with one ledger, counted from 0.
    Ledger(u32),
    /// The payment service.
    Payment,
    /// The notify service.
    Notify,
}

impl Role {
    /// All of them, in the order in which they start.
    pub(crate) const ALL: [Self; 5] = [Self::Server, Self::Ledger(0), Self::Ledger(1), Self::Payment, Self::Notify];

    /// The application it runs.
    pub(crate) fn application(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Ledger(_) => "account",
            Self::Payment => "payment",
            Self::Notify => "notify",
        }
    }

    /// The command line of its process. The server listens at `server`; the others find each other through it, and through what it
    /// said last, in the folder `lists`, while it is away.
    pub(crate) fn arguments(self, server: SocketAddr, data: &Path, lists: &Path, lifeline: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = match self {
            Self::Server => ["server", "--listen", &server.to_string(), "--data"].map(Into::into).into(),
            _ => ["demo-process", self.application(), "--server", &server.to_string(), "--database"].map(Into::into).into(),
        };
        arguments.push(data.into());
        if let Self::Ledger(index) = self {
            arguments.extend(["--share".into(), Share { index, of: LEDGERS }.to_string().into()]);
        }
        if self != Self::Server {
            arguments.extend(["--lists".into(), lists.into()]);
        }
        arguments.extend(["--lifeline".into(), lifeline.into()]);
        arguments
    }
}

/// Where the server listens at first unless it is told: any free port of this machine, and the same one after a restart.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// `account-1`, `server`: names files and logs.
impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger(index) => write!(out, "account-{}", index + 1),
            other => out.write_str(other.application()),
        }
    }
}

/// A routing key that leads to a ledger whatever accounts it holds.
pub(crate) fn ledger_key(ledger: u32) -> String {
    let names = (0_u32..).map(|number| format!("ledger-{number}"));
    names.into_iter().find(|name| Share::of_key(name, LEDGERS).index == ledger % LEDGERS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ledger_can_be_reached_without_knowing_an_account() {
        for ledger in 0..LEDGERS {
            assert!(Share { index: ledger, of: LEDGERS }.holds(&ledger_key(ledger)));
        }
    }

    #[test]
    fn a_process_is_told_where_the_server_is_and_what_it_holds() {
        let text = |role: Role| {
            let arguments = role.arguments(ANY_PORT, Path::new("d"), Path::new("i"), Path::new("l"));
            arguments.join(" ".as_ref()).into_string().unwrap()
        };
        assert_eq!(text(Role::Server), "server --listen 127.0.0.1:0 --data d --lifeline l");
        let ledger = "demo-process account --server 127.0.0.1:0 --database d --share 1/2 --lists i --lifeline l";
        assert_eq!(text(Role::Ledger(1)), ledger);
        assert_eq!(text(Role::Payment), "demo-process payment --server 127.0.0.1:0 --database d --lists i --lifeline l");
    }
}
