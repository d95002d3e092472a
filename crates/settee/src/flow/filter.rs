//! Flow rules at the serving side.

use settee_core::flow::Side;

use super::limits::{Flow, is_trouble};
use crate::rpc::{Answer, Filter, Incoming, Next};

/// Applies the rules to every call that is served.
#[derive(Clone, Debug)]
pub struct ServerFlow(Flow);

impl ServerFlow {
    /// The rules of `flow`.
    #[must_use]
    pub fn new(flow: Flow) -> Self {
        Self(flow)
    }
}

impl Filter for ServerFlow {
    fn call(&self, incoming: Incoming, next: Next) -> crate::expand::BoxFuture<'static, Answer> {
        let admitted = match self.0.admit(Side::Server, incoming.service.name, incoming.descriptor().name) {
            Ok(admitted) => admitted,
            Err(error) => return Box::pin(std::future::ready(Answer::Failed(error))),
        };
        Box::pin(async move {
            let answer = next.run(incoming).await;
            admitted.ended(!matches!(&answer, Answer::Failed(error) if is_trouble(error)));
            answer
        })
    }
}
