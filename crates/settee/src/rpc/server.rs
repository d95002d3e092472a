//! From a decoded call to its answer: one column of layers, each with the reason for its place.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::{Context, Error, env};
use tokio::time::timeout_at;

use super::service::{Answer, BoxFuture, Encoding, MethodDescriptor, Service, ServiceDescriptor};
use super::session::Session;

/// A call on its way to a service.
#[derive(Debug)]
pub struct Incoming {
    /// The service.
    pub service: &'static ServiceDescriptor,
    /// The index of the method in it.
    pub method: usize,
    /// How the arguments are written, and the answer will be.
    pub encoding: Encoding,
    /// The arguments.
    pub body: Bytes,
    /// Trace, deadline, caller, criticality and baggage.
    pub context: Context,
    /// The global transaction that the call is a branch of.
    pub xid: Option<Xid>,
    /// Who is at the other end.
    pub session: Session,
}

impl Incoming {
    /// The descriptor of the method.
    #[must_use]
    pub fn descriptor(&self) -> &'static MethodDescriptor {
        &self.service.methods[self.method]
    }

    /// `service.method`, for people.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.service.name, self.descriptor().name)
    }
}

/// Something that sees every call before its service does, such as a flow rule or a metric.
pub trait Filter: Send + Sync + 'static {
    /// Answers the call itself, or passes it on with [`Next::run`].
    fn call(&self, incoming: Incoming, next: Next) -> BoxFuture<Answer>;
}

/// The rest of the column.
pub struct Next {
    services: Arc<Services>,
    position: usize,
}

/// The services of one process, and the filters before them.
#[derive(Default)]
pub struct Services {
    by_name: BTreeMap<&'static str, Arc<dyn Service>>,
    filters: Vec<Arc<dyn Filter>>,
}

impl Services {
    /// No services.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with one more service; of two with one name the later is served.
    #[must_use]
    pub fn with(mut self, service: impl Service) -> Self {
        self.add(Arc::new(service));
        self
    }

    /// Adds a service; of two with one name the later is served.
    pub fn add(&mut self, service: Arc<dyn Service>) {
        self.by_name.insert(service.descriptor().name, service);
    }

    /// Adds a filter behind those that are there.
    pub fn filter(&mut self, filter: Arc<dyn Filter>) {
        self.filters.push(filter);
    }

    /// The names of the services, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.by_name.keys().copied()
    }

    /// Finds a method by its names.
    pub(crate) fn resolve(&self, service: &str, method: &str) -> Result<(&'static ServiceDescriptor, usize), Error> {
        let Some(found) = self.by_name.get(service) else { return Err(self.no_service(service)) };
        let descriptor = found.descriptor();
        let index = descriptor.method(method).ok_or_else(|| no_method(descriptor, method))?;
        Ok((descriptor, index))
    }

    /// Runs a call through the column.
    pub(crate) fn serve(self: &Arc<Self>, incoming: Incoming) -> BoxFuture<Answer> {
        let spawn = incoming.descriptor().spawn;
        let column = column(self.clone(), incoming);
        if !spawn {
            return Box::pin(column);
        }
        let mut task = AbortOnDrop(env::spawn(column));
        Box::pin(async move { (&mut task.0).await.unwrap_or_else(|_| Answer::Failed(panicked("the task of the call"))) })
    }

    fn no_service(&self, service: &str) -> Error {
        let known: Vec<_> = self.names().collect();
        let message = format!("find service {service:?}: this process serves {}", known.join(", "));
        Error::new(ErrorKind::NotFound, codes::NO_SERVICE, message)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.names()).finish()
    }
}

/// A call whose connection breaks is dropped, wherever it runs.
struct AbortOnDrop(env::JoinHandle<Answer>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The column, from the outside in.
async fn column(services: Arc<Services>, incoming: Incoming) -> Answer {
    let name = (incoming.service.name, incoming.descriptor().name);
    let (context, session) = (incoming.context.clone(), incoming.session.clone());
    let (deadline, expired) = (context.deadline, context.is_expired());
    let work = async {
        // Late work is refused before anything is spent on it, filters included.
        if expired {
            return Answer::Failed(expired_at_the_door(name));
        }
        let run = Next { services, position: 0 }.run(incoming);
        match deadline {
            None => run.await,
            // Nobody waits for the answer any more, and what it holds (a permit, a lock, a local transaction) others wait for. The
            // timer is only registered for a call that does not answer at once.
            Some(deadline) => timeout_at(deadline, run).await.unwrap_or_else(|_| Answer::Failed(expired_under_way(name))),
        }
    };
    // Ambient values are set before any filter runs, because filters read them.
    let scoped = session.scope(context.scope(work));
    // Outermost: a panic of any filter or handler must not take the connection's other calls with it.
    match AssertUnwindSafe(scoped).catch_unwind().await {
        Ok(answer) => answer,
        Err(_panic) => Answer::Failed(panicked(&format!("{}.{}", name.0, name.1))),
    }
}

impl Next {
    /// Passes the call to the next filter, or to the service behind the last.
    #[must_use]
    pub fn run(self, incoming: Incoming) -> BoxFuture<Answer> {
        let Self { services, position } = self;
        if let Some(filter) = services.filters.get(position).cloned() {
            return filter.call(incoming, Self { services, position: position + 1 });
        }
        match services.by_name.get(incoming.service.name).cloned() {
            Some(service) => service.call(incoming.method, incoming),
            None => Box::pin(std::future::ready(Answer::Failed(services.no_service(incoming.service.name)))),
        }
    }
}

fn no_method(service: &ServiceDescriptor, method: &str) -> Error {
    let known: Vec<_> = service.methods.iter().map(|method| method.name).collect();
    let message = format!("find method {method:?} of {}: it has {}", service.name, known.join(", "));
    Error::new(ErrorKind::NotFound, codes::NO_METHOD, message)
}

fn expired_at_the_door((service, method): (&str, &str)) -> Error {
    let message = format!("serve {service}.{method}: the deadline had passed when the call arrived");
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message)
}

fn expired_under_way((service, method): (&str, &str)) -> Error {
    let message = format!("serve {service}.{method}: the handler was dropped, its deadline passed");
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message).unknown()
}

fn panicked(name: &str) -> Error {
    Error::new(ErrorKind::Internal, codes::PANICKED, format!("serve {name}: the handler panicked")).unknown()
}
