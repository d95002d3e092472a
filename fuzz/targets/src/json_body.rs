//! The body of a JSON call, from the bytes that HTTP delivered to the answer, through what `#[service]` writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use settee::rpc::Incoming;
use settee::rpc::service::{Answer, Encoding, Service};
use settee::rpc::session::Session;
use settee::{Certainty, Context, ErrorKind, Reply};

use crate::budget::Budget;
use crate::values::{Chain, Order};

/// As MessagePack: `[[[` is three values. The rest is the call itself.
const BUDGET: Budget = Budget { fixed: 64 << 10, per_byte: 256 };

/// Gives back what it is given.
#[settee::service("fuzz.Echo")]
trait Echo {
    /// Everything that a call can be given.
    #[rpc(idempotent)]
    async fn echo(
        &self,
        order: Option<Order>,
        chain: Option<Chain>,
        any: serde_json::Value,
        words: BTreeMap<String, i64>,
    ) -> Reply<Echoed>;
}

/// The arguments, as a value.
type Echoed = BTreeMap<String, serde_json::Value>;

struct Wall;

impl Echo for Wall {
    async fn echo(
        &self,
        order: Option<Order>,
        chain: Option<Chain>,
        any: serde_json::Value,
        words: BTreeMap<String, i64>,
    ) -> Reply<Echoed> {
        let value = |value: serde_json::Result<serde_json::Value>| value.map_err(settee::Error::internal);
        Ok([
            ("order".to_owned(), value(serde_json::to_value(order))?),
            ("chain".to_owned(), value(serde_json::to_value(chain))?),
            ("any".to_owned(), any),
            ("words".to_owned(), value(serde_json::to_value(words))?),
        ]
        .into())
    }
}

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn one(input: &[u8]) {
    match BUDGET.spend(input.len(), || call(Bytes::copy_from_slice(input))) {
        Answer::Value(body) => match call(body.clone()) {
            Answer::Value(again) => assert_eq!(again, body, "what was answered means what was asked"),
            other => panic!("what was answered is not read: {other:?}"),
        },
        Answer::Failed(error) => {
            assert_eq!((error.kind(), error.certainty()), (ErrorKind::Invalid, Certainty::NotDone), "{error:?}");
            let begins = "read the arguments of fuzz.Echo.echo: decode json body";
            assert!(error.message().starts_with(begins), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
}

fn call(body: Bytes) -> Answer {
    let server = Arc::new(EchoServer::new(Wall));
    let incoming = Incoming {
        service: server.descriptor(),
        method: 0,
        encoding: Encoding::Json,
        body,
        context: Context::root("fuzz"),
        xid: None,
        session: Session::open(None),
    };
    server.call(0, incoming).now_or_never().expect("nothing in it waits")
}
