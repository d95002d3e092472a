//! The keeper against a ledger that processes line by line, over many small worlds and interleavings.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A ledger whose tries freeze and whose confirms move, each at a moment of its own.
struct Ledger {
    balance: Vec<i64>,
    frozen: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    HandedOut,
    Held,
    Debited,
    Refused,
}

impl Ledger {
    fn new(available: &[i64]) -> Self {
        Self { balance: available.to_vec(), frozen: vec![0; available.len()] }
    }

    fn hold(&mut self, movement: Movement) -> Phase {
        let debtor = movement.debtor;
        if self.balance[debtor] - self.frozen[debtor] < movement.minor {
            return Phase::Refused;
        }
        self.frozen[debtor] += movement.minor;
        Phase::Held
    }

    fn debit(&mut self, movement: Movement) -> Phase {
        self.frozen[movement.debtor] -= movement.minor;
        self.balance[movement.debtor] -= movement.minor;
        Phase::Debited
    }

    fn credit(&mut self, movement: Movement) {
        self.balance[movement.creditor] += movement.minor;
    }
}

fn line_by_line(available: &[i64], movements: &[Option<Movement>]) -> Vec<Ended> {
    let mut ledger = Ledger::new(available);
    let outcome = |movement: &Option<Movement>| {
        let Some(movement) = *movement else { return Ended::Rejected };
        if ledger.hold(movement) == Phase::Refused {
            return Ended::Rejected;
        }
        ledger.debit(movement);
        ledger.credit(movement);
        Ended::Accepted
    };
    movements.iter().map(outcome).collect()
}

/// Runs the file with up to `most` under way; chance decides which of them takes its next step.
fn concurrently(random: &mut StdRng, available: &[i64], movements: &[Option<Movement>], most: usize) -> Vec<Option<Ended>> {
    let mut keeper = OrderKeeper::new(available, movements.to_vec());
    let mut ledger = Ledger::new(available);
    let mut outcomes = vec![None; movements.len()];
    let mut under_way: Vec<(usize, Phase)> = Vec::new();
    loop {
        while under_way.len() < most
            && let Some(transfer) = keeper.next()
        {
            under_way.push((transfer, Phase::HandedOut));
        }
        if under_way.is_empty() {
            return outcomes;
        }
        let chosen = random.random_range(0..under_way.len() as u32) as usize;
        let (transfer, phase) = under_way[chosen];
        let ended = match (movements[transfer], phase) {
            (None, _) | (_, Phase::Refused) => Some(Ended::Rejected),
            (Some(movement), Phase::HandedOut) => step(&mut under_way[chosen].1, ledger.hold(movement)),
            (Some(movement), Phase::Held) => step(&mut under_way[chosen].1, ledger.debit(movement)),
            (Some(movement), Phase::Debited) => {
                ledger.credit(movement);
                Some(Ended::Accepted)
            }
        };
        if let Some(how) = ended {
            under_way.swap_remove(chosen);
            assert_eq!(outcomes[transfer].replace(how), None, "handed out twice");
            keeper.ended(transfer, how);
        }
    }
}

fn step(phase: &mut Phase, next: Phase) -> Option<Ended> {
    *phase = next;
    None
}

/// Few accounts with little money, so that most transfers hang on one another.
fn small_world(random: &mut StdRng) -> (Vec<i64>, Vec<Option<Movement>>) {
    let accounts = random.random_range(2..6_u32) as usize;
    let available = (0..accounts).map(|_| random.random_range(0..30_i64)).collect();
    let movement = |random: &mut StdRng| {
        let debtor = random.random_range(0..accounts as u32) as usize;
        let creditor = (debtor + random.random_range(1..accounts as u32) as usize) % accounts;
        let moves = random.random_range(0..10_u32) > 0;
        moves.then(|| Movement { debtor, creditor, minor: random.random_range(1..25_i64) })
    };
    let count = random.random_range(1..40_u32);
    (available, (0..count).map(|_| movement(random)).collect())
}

#[test]
fn concurrency_never_changes_who_is_paid() {
    for seed in 0..3_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let (available, movements) = small_world(&mut random);
        let expected: Vec<_> = line_by_line(&available, &movements).into_iter().map(Some).collect();
        let most = random.random_range(1..20_u32) as usize;
        assert_eq!(concurrently(&mut random, &available, &movements, most), expected, "seed {seed}");
    }
}

#[test]
fn a_payroll_runs_all_at_once_while_the_money_certainly_suffices() {
    let salaries = (1..=500).map(|creditor| Some(Movement { debtor: 0, creditor, minor: 10 })).collect();
    let mut available = vec![0; 501];
    available[0] = 4_990;
    let mut keeper = OrderKeeper::new(&available, salaries);
    assert_eq!((0..499).map(|_| keeper.next()).collect::<Vec<_>>(), (0..499).map(Some).collect::<Vec<_>>());
    assert_eq!(keeper.next(), None, "the last one may be too much");
    (0..498).for_each(|transfer| keeper.ended(transfer, Ended::Accepted));
    assert_eq!(keeper.next(), None);
    keeper.ended(498, Ended::Rejected);
    assert_eq!(keeper.next(), Some(499), "what was not taken covers it");
}

#[test]
fn a_credit_waits_behind_an_earlier_debit_that_it_would_make_possible() {
    let movements = [(0, 1, 50), (2, 0, 60), (0, 1, 5)];
    let movements = movements.map(|(debtor, creditor, minor)| Some(Movement { debtor, creditor, minor }));
    let mut keeper = OrderKeeper::new(&[10, 0, 100], movements.to_vec());
    assert_eq!((keeper.next(), keeper.next()), (Some(0), None), "nothing is before it, so the ledger decides");
    keeper.ended(0, Ended::Rejected);
    let rest: BTreeSet<_> = std::iter::from_fn(|| keeper.next()).collect();
    assert_eq!(rest, BTreeSet::from([1, 2]));
}

#[test]
fn money_whose_fate_is_unknown_is_never_spent_twice() {
    let movement = Some(Movement { debtor: 0, creditor: 1, minor: 10 });
    let back = Some(Movement { debtor: 1, creditor: 0, minor: 10 });
    let mut keeper = OrderKeeper::new(&[10, 0], vec![movement, back, movement]);
    assert_eq!((keeper.next(), keeper.next()), (Some(0), None));
    keeper.ended(0, Ended::Unknown);
    assert_eq!((keeper.next(), keeper.next()), (Some(1), None), "uncovered, so alone: the ledger decides");
    keeper.ended(1, Ended::Rejected);
    assert_eq!(keeper.next(), Some(2));
}

#[test]
fn what_moves_nothing_waits_for_nothing() {
    let mut keeper = OrderKeeper::new(&[0, 0], vec![Some(Movement { debtor: 0, creditor: 1, minor: 1 }), None, None]);
    assert_eq!([keeper.next(), keeper.next(), keeper.next(), keeper.next()], [Some(0), Some(1), Some(2), None]);
}
