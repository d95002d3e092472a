//! `settee ls`: who serves what, which topics, transactions, jobs and traces there are, and how they are.

use std::process::ExitCode;

use settee::job::control::{JobView, RunStatus};
use settee::job::{JobControlClient, Schedule};
use settee::mq::MessageControlClient;
use settee::mq::control::{GroupView, TopicView};
use settee::registry::Instance;
use settee::registry::control::{RegistryControlClient, ServiceView};

use crate::control::{Control, ServerArgs, is_control};
use crate::failure::Failure;
use crate::output::{self, NOTHING, cell};
use crate::{traces, transactions};

/// List what the server knows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Services and the instances that serve them.
    Services(ServerArgs),
    /// Topics and the groups that consume them.
    Topics(ServerArgs),
    /// Global transactions; the same as `settee transactions ls`.
    Transactions(transactions::ListArgs),
    /// Jobs, when they are due next, and their last run.
    Jobs(ServerArgs),
    /// Recent traces; the same as `settee traces ls`.
    Traces(traces::ListArgs),
}

/// Runs the command to its end.
pub(crate) async fn run(args: Args) -> ExitCode {
    output::finish(answer(&args).await, args.what.server().json)
}

/// What the command prints.
pub(crate) async fn answer(args: &Args) -> Result<String, Failure> {
    match &args.what {
        What::Services(server) => services(*server).await,
        What::Topics(server) => topics(*server).await,
        What::Transactions(list) => transactions::list(list).await,
        What::Jobs(server) => jobs(*server).await,
        What::Traces(list) => traces::list(list).await,
    }
}

impl What {
    fn server(&self) -> &ServerArgs {
        match self {
            Self::Services(server) | Self::Topics(server) | Self::Jobs(server) => server,
            Self::Transactions(list) => &list.server,
            Self::Traces(list) => &list.server,
        }
    }
}

async fn services(args: ServerArgs) -> Result<String, Failure> {
    let control = Control::at(args.server);
    let client: RegistryControlClient = control.client();
    let services = client.services().await.map_err(|fault| control.failed(fault))?;
    if args.json { output::pretty(&services) } else { Ok(service_lines(&services)) }
}

async fn topics(args: ServerArgs) -> Result<String, Failure> {
    let control = Control::at(args.server);
    let client: MessageControlClient = control.client();
    let topics = client.topics().await.map_err(|fault| control.failed(fault))?;
    if args.json { output::pretty(&topics) } else { Ok(topic_lines(&topics)) }
}

async fn jobs(args: ServerArgs) -> Result<String, Failure> {
    let control = Control::at(args.server);
    let client: JobControlClient = control.client();
    let jobs = client.jobs().await.map_err(|fault| control.failed(fault))?;
    if args.json { output::pretty(&jobs) } else { Ok(job_lines(&jobs)) }
}

/// A line for each instance; a service that is only followed has one without.
fn service_lines(services: &[ServiceView]) -> String {
    let rows = services.iter().flat_map(|service| match service.instances.is_empty() {
        true => vec![service_line(service, None)],
        false => service.instances.iter().map(|instance| service_line(service, Some(instance))).collect(),
    });
    let mut text = output::table(["SERVICE", "INSTANCE", "APPLICATION", "SHARE", "WEIGHT", "STATE", "SUBSCRIBERS"], rows);
    if services.iter().any(|service| !service.complete) {
        text.push_str("\nthe registry has just started: instances may be missing for a moment");
    }
    text
}

fn service_line(service: &ServiceView, instance: Option<&Instance>) -> [String; 7] {
    let state = match instance {
        None if is_control(&service.name) => "the server's own",
        None => "nobody serves it",
        Some(instance) if service.orphans.contains(&instance.address) => "orphan",
        Some(_) => "published",
    };
    [
        service.name.clone(),
        cell(instance.map(|instance| instance.address)),
        cell(instance.map(|instance| &instance.application)),
        cell(instance.and_then(|instance| instance.share)),
        cell(instance.map(|instance| instance.weight)),
        state.to_owned(),
        service.subscribers.to_string(),
    ]
}

/// A line for each group; a topic that nobody consumes has one without.
fn topic_lines(topics: &[TopicView]) -> String {
    let rows = topics.iter().flat_map(|topic| match topic.groups.is_empty() {
        true => vec![topic_line(topic, None)],
        false => topic.groups.iter().map(|group| topic_line(topic, Some(group))).collect(),
    });
    let header = ["TOPIC", "STATE", "PARTITIONS", "MESSAGES", "GROUP", "CONSUMERS", "LAG", "OLDEST", "OPEN", "DEAD"];
    output::table(header, rows)
}

fn topic_line(topic: &TopicView, group: Option<&GroupView>) -> [String; 10] {
    let state = match (topic.parked, topic.paused) {
        (0, false) => "running".to_owned(),
        (0, true) => "paused".to_owned(),
        (parked, _) => format!("{parked} PARKED"),
    };
    [
        topic.name.clone(),
        state,
        topic.partitions.to_string(),
        topic.messages.to_string(),
        cell(group.map(|group| &group.name)),
        cell(group.map(|group| group.consumers)),
        cell(group.map(|group| group.lag_messages)),
        cell(group.map(|group| format!("{} ms", group.lag_ms))),
        cell(group.map(|group| group.open)),
        cell(group.map(|group| group.dead)),
    ]
}

fn job_lines(jobs: &[JobView]) -> String {
    let rows = jobs.iter().map(|job| {
        let last = job.last_runs.first();
        [
            job.definition.name.clone(),
            job.definition.application.clone(),
            schedule(&job.definition.schedule),
            if job.paused { "paused" } else { "active" }.to_owned(),
            cell(job.next_due),
            cell(last.map(|run| run.due)),
            last.map_or(NOTHING, |run| status(run.state)).to_owned(),
        ]
    });
    output::table(["JOB", "APPLICATION", "SCHEDULE", "STATE", "NEXT DUE", "LAST DUE", "LAST RUN"], rows)
}

fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Cron { expression, zone, .. } => format!("{expression} {zone}"),
        Schedule::Every { period, .. } => format!("every {} ms", period.as_millis()),
        Schedule::Once { due } => format!("once {due}"),
        Schedule::OnDemand => "on demand".to_owned(),
    }
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Skipped => "skipped",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Unknown => "unknown",
        RunStatus::Planned => "planned",
        RunStatus::Dispatched => "dispatched",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use settee::job::control::{RegisterJob, RunView, Slices};
    use settee::job::{Misfire, Overlap, Retry};
    use settee::registry::{ListVersion, Share};
    use settee_core::Timestamp;

    use super::*;

    fn service(name: &str, instances: Vec<Instance>, complete: bool) -> ServiceView {
        let orphans = instances.iter().filter(|instance| instance.weight == 0).map(|instance| instance.address).collect();
        let instances = instances.into_iter().map(Arc::new).collect();
        ServiceView { name: name.into(), instances, version: ListVersion::default(), complete, subscribers: 2, orphans }
    }

    #[test]
    fn an_instance_that_nobody_speaks_for_is_not_shown_as_healthy() {
        let held = Instance { share: Some(Share { index: 0, of: 2 }), ..Instance::new(([127, 0, 0, 1], 7401).into(), "account") };
        let orphan = Instance { weight: 0, ..Instance::new(([127, 0, 0, 1], 7402).into(), "account") };
        let services = [
            service("pay.Account", vec![held, orphan], true),
            service("pay.Ghost", vec![], false),
            service("settee.Registry", vec![], true),
        ];
        let expected = "\
SERVICE          INSTANCE        APPLICATION  SHARE  WEIGHT  STATE             SUBSCRIBERS
pay.Account      127.0.0.1:7401  account      0/2    100     published         2
pay.Account      127.0.0.1:7402  account      -      0       orphan            2
pay.Ghost        -               -            -      -       nobody serves it  2
settee.Registry  -               -            -      -       the server's own  2
the registry has just started: instances may be missing for a moment";
        assert_eq!(service_lines(&services), expected);
    }

    #[test]
    fn a_topic_shows_its_lag_group_by_group() {
        let group = GroupView { name: "notify".into(), consumers: 1, lag_messages: 12, lag_ms: 340, open: 3, dead: 1 };
        let topic = |name: &str, parked, groups| TopicView {
            name: name.into(),
            partitions: 8,
            paused: false,
            messages: 200,
            parked,
            groups,
        };
        let topics = [topic("transfers", 0, vec![group]), topic("unread", 2, vec![])];
        let expected = "\
TOPIC      STATE     PARTITIONS  MESSAGES  GROUP   CONSUMERS  LAG  OLDEST  OPEN  DEAD
transfers  running   8           200       notify  1          12   340 ms  3     1
unread     2 PARKED  8           200       -       -          -    -       -     -";
        assert_eq!(topic_lines(&topics), expected);
    }

    #[test]
    fn a_job_shows_when_it_is_due_and_what_became_of_it() {
        let definition = RegisterJob {
            name: "reconcile".into(),
            application: "account".into(),
            schedule: Schedule::OnDemand,
            misfire: Misfire::default(),
            overlap: Overlap::default(),
            retry: Retry::default(),
            timeout_ms: 1_000,
            idempotent: true,
            slices: Slices::PerShare,
        };
        let run = RunView {
            id: "reconcile/1/0".into(),
            job: "reconcile".into(),
            due: Timestamp::EPOCH,
            state: RunStatus::Unknown,
            reference: None,
            slices: vec![],
        };
        let job = JobView { definition, version: 1, paused: true, next_due: None, last_runs: vec![run] };
        let expected = "\
JOB        APPLICATION  SCHEDULE   STATE   NEXT DUE  LAST DUE              LAST RUN
reconcile  account      on demand  paused  -         1970-01-01T00:00:00Z  unknown";
        assert_eq!(job_lines(&[job]), expected);
    }
}
