//! The rules in force, put in order once so that a call finds its own with few comparisons; and what a call holds of them.

use std::sync::Arc;

use arc_swap::Guard;
use settee_core::flow::{Rule, RuleSet, Side};
use settee_core::{Error, Instant};
use smallvec::SmallVec;

use super::clock::Clock;
use super::gate::{Gate, Held};

/// Gates that a call may hold something of without an allocation: a limit and a breaker of the method, and one of the service.
const HELD_INLINE: usize = 3;

/// All rules of a process, in the order in which they are asked. Never changed, only replaced.
#[derive(Debug, Default)]
pub(super) struct Chain {
    gates: Vec<Arc<Gate>>,
    scopes: Vec<Scope>,
}

/// Gates that stand next to each other and apply to the same calls.
#[derive(Debug)]
struct Scope {
    first: usize,
    end: usize,
}

/// What a call holds of every rule that applies to it. Dropping it gives permits back; a breaker that was asked then counts
/// neither a success nor a failure, and takes a probe back when its time is up.
#[derive(Debug, Default)]
#[must_use = "the call is under way as long as this is held"]
pub struct Admitted {
    /// `None`: no rule applies.
    chain: Option<Guard<Arc<Chain>>>,
    held: SmallVec<[(u16, Held); HELD_INLINE]>,
}

impl Chain {
    /// The gates of `rules`, which have been checked. A rule that did not change keeps its gate.
    pub(super) fn of(rules: &RuleSet, before: &Self, origin: Instant) -> Self {
        let keep = |rule: &Rule| before.gates.iter().find(|gate| gate.rule == *rule).cloned();
        let gate = |rule: &Rule| keep(rule).unwrap_or_else(|| Arc::new(Gate::new(rule.clone(), origin)));
        let gates: Vec<_> = rules.rules.iter().map(gate).collect();
        let mut scopes: Vec<Scope> = Vec::new();
        for (index, gate) in gates.iter().enumerate() {
            match scopes.last_mut().filter(|scope| apply_to_the_same(&gates[scope.first].rule, &gate.rule)) {
                Some(scope) => scope.end = index + 1,
                None => scopes.push(Scope { first: index, end: index + 1 }),
            }
        }
        Self { gates, scopes }
    }

    /// The gates, in their order.
    pub(super) fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().map(|gate| &**gate)
    }

    fn applying<'a>(&'a self, side: Side, service: &'a str, method: &'a str) -> impl Iterator<Item = (usize, &'a Gate)> {
        let applying = move |scope: &&Scope| self.gates[scope.first].rule.applies_to(side, service, method);
        let gates = move |scope: &'a Scope| (scope.first..scope.end).map(move |index| (index, &*self.gates[index]));
        self.scopes.iter().filter(applying).flat_map(gates)
    }
}

fn apply_to_the_same(one: &Rule, other: &Rule) -> bool {
    (one.side, &one.service, &one.method) == (other.side, &other.service, &other.method)
}

impl Admitted {
    /// Asks every gate of `chain` that applies to a call.
    pub(super) fn by(
        chain: Guard<Arc<Chain>>,
        origin: Instant,
        (side, service, method): (Side, &str, &str),
    ) -> Result<Self, Error> {
        let mut admitted = Self::default();
        let (mut clock, mut refused) = (Clock::new(origin), None);
        for (index, gate) in chain.applying(side, service, method) {
            match gate.admit(&mut clock) {
                Ok(None) => {}
                Ok(Some(held)) => admitted.held.push((u16::try_from(index).unwrap_or(u16::MAX), held)),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        admitted.chain = (!admitted.held.is_empty()).then_some(chain);
        // Refused, what the gates before had given goes back with the drop.
        refused.map_or(Ok(admitted), Err)
    }

    /// Tells breakers how the call ended. Only overload and faults count as failures, a business "no" is a success.
    pub fn ended(self, success: bool) {
        for (gate, held) in self.held() {
            if let Held::Call(admission) = held {
                gate.ended(admission, success);
            }
        }
    }

    fn held(&self) -> impl Iterator<Item = (&Gate, Held)> {
        let gate = |index: u16| self.chain.as_ref().and_then(|chain| chain.gates.get(usize::from(index)));
        self.held.iter().filter_map(move |(index, held)| Some((&**gate(*index)?, *held)))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        for (gate, held) in self.held() {
            if held == Held::Place {
                gate.leave();
            }
        }
    }
}
