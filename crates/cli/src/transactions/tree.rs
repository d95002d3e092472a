//! One transaction as a tree: what it is, what was decided and why, and how far each branch is.

use settee::txn::{BranchProgress, BranchView, DecisionView, TransactionView};
use settee_core::Timestamp;
use settee_core::txn::{Done, TryState};

/// The tree.
#[must_use]
pub(super) fn of(view: &TransactionView) -> String {
    let summary = &view.summary;
    let mut facts = vec![
        what(view),
        begun(view),
        view.decision.as_ref().map_or_else(|| "not decided".to_owned(), |decision| decided(decision, summary.begun_at)),
    ];
    facts.extend(summary.ended_at.map(|at| format!("ended {}", moment(at, summary.begun_at))));
    facts.extend(view.trace.map(|trace| format!("trace {trace}")));
    facts.extend(view.closing.as_ref().map(|closing| {
        format!("closed by {} {}, evidence: {}", closing.user, moment(closing.at, summary.begun_at), closing.evidence)
    }));
    facts.push(format!("written {} times, last by owner {}", view.version, view.owner));
    let branches: Vec<_> = view.branches.iter().map(|branch| branch_lines(branch, summary.begun_at)).collect();
    let head = format!("{} {}", summary.xid, summary.state);
    let groups = facts.into_iter().map(|fact| (fact, Vec::new())).chain(branches).collect();
    draw(head, groups)
}

/// A line for each group and below it its own lines.
fn draw(head: String, groups: Vec<(String, Vec<String>)>) -> String {
    let mut lines = vec![head];
    let count = groups.len();
    for (index, (first, rest)) in groups.into_iter().enumerate() {
        let last = index + 1 == count;
        lines.push(format!("{} {first}", if last { "└─" } else { "├─" }));
        lines.extend(rest.into_iter().map(|line| format!("{}   {line}", if last { " " } else { "│" })));
    }
    lines.join("\n")
}

fn what(view: &TransactionView) -> String {
    let name = view.summary.name.as_deref().unwrap_or("of no known operation");
    let reference = view.summary.reference.as_deref().map(|reference| format!(", reference {reference}")).unwrap_or_default();
    let application = view.application.as_deref().map(|application| format!(", begun by {application}")).unwrap_or_default();
    format!("{name}{reference}{application}")
}

fn begun(view: &TransactionView) -> String {
    let Some(at) = view.summary.begun_at else { return "never begun here".to_owned() };
    let limit = view.timeout_ms.map(|timeout| format!(", to be decided within {timeout} ms")).unwrap_or_default();
    format!("begun {at}{limit}")
}

fn decided(decision: &DecisionView, begun: Option<Timestamp>) -> String {
    let decided = decision.decided;
    format!(
        "decided {} because of {} {}, by owner {}",
        decided.decision,
        decided.cause,
        moment(decision.at, begun),
        decision.owner
    )
}

fn branch_lines(view: &BranchView, begun: Option<Timestamp>) -> (String, Vec<String>) {
    let route = view.route.as_deref().map(|route| format!(", route {route}")).unwrap_or_default();
    let head = format!("branch {} of {}{route}, {}", view.branch, view.service, tried(view.tried));
    (head, vec![progress(&view.progress, begun)])
}

fn tried(state: TryState) -> &'static str {
    match state {
        TryState::Tried => "tried",
        TryState::Unknown => "its try is unknown",
        TryState::Refused => "it refused its try",
    }
}

fn progress(progress: &BranchProgress, begun: Option<Timestamp>) -> String {
    match progress {
        BranchProgress::Open { attempts, trouble } => {
            let trouble = trouble.as_deref().map(|trouble| format!(", the last met: {trouble}")).unwrap_or_default();
            format!("open, attempts {attempts}{trouble}")
        }
        BranchProgress::Done { how, at } => format!("done {}{}", moment(*at, begun), manner(*how)),
        BranchProgress::Parked { why, attempts, at } => {
            format!("PARKED {}, attempts {attempts}, waits for an operator: {why}", moment(*at, begun))
        }
    }
}

fn manner(how: Done) -> &'static str {
    match how {
        Done::Real => "",
        Done::Empty => ", nothing had been tried",
        Done::Already => ", it had been done before",
    }
}

/// A moment, and how long after the begin it was.
fn moment(at: Timestamp, begun: Option<Timestamp>) -> String {
    match begun {
        Some(begun) => format!("at {at} (+{} ms)", at.since(begun).as_millis()),
        None => format!("at {at}"),
    }
}

#[cfg(test)]
mod tests {
    use settee::txn::{Decided, TransactionSummary};
    use settee_core::id::{BranchId, Epoch, FencingToken, Generation, ShardId, Xid};
    use settee_core::txn::{Cause, Decision, State};

    use super::*;

    fn branch(call: u32, service: &str, progress: BranchProgress) -> BranchView {
        let tried = if call == 2 { TryState::Unknown } else { TryState::Tried };
        BranchView { branch: BranchId::root(call), service: service.into(), route: Some(format!("A-{call}")), tried, progress }
    }

    #[test]
    fn an_operator_sees_which_branch_hangs_and_why() {
        let owner = FencingToken { generation: Generation(1), epoch: Epoch(3) };
        let summary = TransactionSummary {
            xid: Xid::new(ShardId(7), Generation(1), 42, 9),
            state: State::AbortParked,
            name: Some("transfer".into()),
            reference: Some("E2E-1".into()),
            begun_at: Some(Timestamp::from_millis(0)),
            ended_at: None,
            cause: Some(Cause::BranchUnknown),
        };
        let done = BranchProgress::Done { how: Done::Empty, at: Timestamp::from_millis(30) };
        let parked = BranchProgress::Parked { why: "fence violation".into(), attempts: 3, at: Timestamp::from_millis(40) };
        let open = BranchProgress::Open { attempts: 2, trouble: Some("connection refused".into()) };
        let view = TransactionView {
            summary,
            application: Some("payment".into()),
            timeout_ms: Some(5_000),
            trace: None,
            decision: Some(DecisionView {
                decided: Decided { decision: Decision::Abort, cause: Cause::BranchUnknown },
                at: Timestamp::from_millis(20),
                owner,
            }),
            branches: vec![branch(1, "pay.Debit", done), branch(2, "pay.Credit", parked), branch(3, "pay.Fee", open)],
            closing: None,
            owner,
            version: 4,
        };
        let expected = "\
0700000100000000002a000000000009 ABORT_PARKED
├─ transfer, reference E2E-1, begun by payment
├─ begun 1970-01-01T00:00:00Z, to be decided within 5000 ms
├─ decided ABORT because of BRANCH_UNKNOWN at 1970-01-01T00:00:00.02Z (+20 ms), by owner OWNER
├─ written 4 times, last by owner OWNER
├─ branch 1 of pay.Debit, route A-1, tried
│   done at 1970-01-01T00:00:00.03Z (+30 ms), nothing had been tried
├─ branch 2 of pay.Credit, route A-2, its try is unknown
│   PARKED at 1970-01-01T00:00:00.04Z (+40 ms), attempts 3, waits for an operator: fence violation
└─ branch 3 of pay.Fee, route A-3, tried
    open, attempts 2, the last met: connection refused";
        assert_eq!(of(&view), expected.replace("OWNER", &owner.to_string()));
    }
}
