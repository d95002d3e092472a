//! What operators and callers see of a transaction.

use settee::txn::{BranchProgress, BranchView, ClosingView, Decided, DecisionView, TransactionSummary, TransactionView};
use settee_core::txn::{Branch, BranchSummary, Transaction};

pub(super) fn summary(transaction: &Transaction) -> TransactionSummary {
    let progress = transaction.progress();
    let begun = progress.begun.as_ref();
    TransactionSummary {
        xid: transaction.xid(),
        state: transaction.state(),
        name: begun.map(|begun| begun.name.clone()),
        reference: begun.and_then(|begun| begun.reference.clone()),
        begun_at: begun.map(|begun| begun.at),
        ended_at: progress.ended_at,
        cause: transaction.decision().map(|register| register.cause),
    }
}

pub(super) fn whole(transaction: &Transaction) -> TransactionView {
    let (progress, register) = (transaction.progress(), transaction.decision());
    let begun = progress.begun.as_ref();
    let branch = |listed: &BranchSummary| BranchView {
        branch: listed.branch.clone(),
        service: listed.service.clone(),
        route: listed.route.clone(),
        tried: listed.state,
        progress: branch_progress(progress.branches.get(&listed.branch).unwrap_or(&Branch::NEW)),
    };
    TransactionView {
        summary: summary(transaction),
        application: begun.map(|begun| begun.application.clone()),
        timeout_ms: begun.map(|begun| u64::try_from(begun.timeout.as_millis()).unwrap_or(u64::MAX)),
        trace: begun.and_then(|begun| begun.trace).map(|trace| trace.trace),
        decision: register.map(|register| DecisionView {
            decided: Decided { decision: register.decision, cause: register.cause },
            at: register.at,
            owner: register.owner,
        }),
        branches: register.map(|register| register.branches.iter().map(branch).collect()).unwrap_or_default(),
        closing: progress.closing.clone().map(|closing| ClosingView {
            user: closing.user,
            evidence: closing.evidence,
            at: closing.at,
        }),
        owner: progress.owner,
        version: progress.version,
    }
}

fn branch_progress(branch: &Branch) -> BranchProgress {
    match branch.clone() {
        Branch::Open { attempts, trouble } => BranchProgress::Open { attempts, trouble },
        Branch::Done { how, at } => BranchProgress::Done { how, at },
        Branch::Parked { why, attempts, at } => BranchProgress::Parked { why, attempts, at },
    }
}
