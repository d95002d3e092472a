//! The file as the driver sees it: what is sent to the payment service, and what the order of it may decide.

use std::collections::{BTreeMap, BTreeSet};

use settee_payments::api::{Balance, Transfer};

use super::driver::Answer;
use super::input::{Batch, Instruction};
use super::order::{Movement, OrderKeeper};

/// Why the second transfer of an id is refused, whatever became of the first.
pub(crate) const REPEATED: &str = "AM05";

/// The transfers of a file, with those taken out that repeat an id.
#[derive(Debug)]
pub(crate) struct TransferFile {
    /// In file order, no id twice.
    pub(crate) orders: Vec<Transfer>,
    /// Minor units of each order, where its currency can express its amount.
    minor: Vec<Option<i64>>,
    /// Transfers whose id was seen earlier in the file: [`REPEATED`].
    pub(crate) repeated: u64,
}

impl TransferFile {
    /// Reads a batch.
    pub(crate) fn new(batch: &Batch) -> Self {
        let first: Vec<_> = sent(batch).filter_map(|(instruction, sent)| sent.then_some(instruction)).collect();
        Self {
            orders: first.iter().map(|instruction| order(instruction)).collect(),
            minor: first.iter().map(|instruction| instruction.amount.minor(instruction.currency.exponent()).ok()).collect(),
            repeated: (batch.instructions.len() - first.len()) as u64,
        }
    }

    /// How many transfers the file has.
    pub(crate) fn len(&self) -> u64 {
        self.orders.len() as u64 + self.repeated
    }

    /// Who keeps the order of it, over accounts as they are now. `known` orders have their outcome already.
    pub(crate) fn keeper(&self, accounts: &BTreeMap<String, Balance>, known: &[bool]) -> OrderKeeper {
        let numbers: BTreeMap<_, _> = accounts.keys().enumerate().map(|(number, account)| (account.as_str(), number)).collect();
        let available: Vec<_> = accounts.values().map(|account| account.minor.saturating_sub(account.frozen_minor)).collect();
        let movement = |place: usize| {
            let order = &self.orders[place];
            let minor = self.minor[place].filter(|minor| *minor > 0)?;
            let takes_part = |account: &String| {
                let found = accounts.get(account)?;
                (!found.closed && found.currency == order.currency).then(|| numbers.get(account.as_str()).copied())?
            };
            let (debtor, creditor) = (takes_part(&order.debtor)?, takes_part(&order.creditor)?);
            (debtor != creditor && !known.get(place).copied().unwrap_or(false)).then_some(Movement { debtor, creditor, minor })
        };
        OrderKeeper::new(&available, (0..self.orders.len()).map(movement).collect())
    }
}

/// What became of every transfer of a batch: of what became of those that were sent, in the same order.
pub(crate) fn answers_of_all(batch: &Batch, sent_ones: Vec<Answer>) -> Vec<Answer> {
    let mut answers = sent_ones.into_iter();
    let repeated = || Answer::Refused(REPEATED.into());
    sent(batch).map(|(_, sent)| if sent { answers.next().unwrap_or(Answer::Unknown) } else { repeated() }).collect()
}

/// All transfers of a batch, and whether each is the first of its id, which is sent.
fn sent(batch: &Batch) -> impl Iterator<Item = (&Instruction, bool)> {
    let mut seen = BTreeSet::new();
    batch.instructions.iter().map(move |instruction| (instruction, seen.insert(&instruction.id)))
}

fn order(instruction: &Instruction) -> Transfer {
    Transfer {
        id: instruction.id.clone(),
        debtor: instruction.debtor.clone(),
        creditor: instruction.creditor.clone(),
        amount: instruction.amount.to_string(),
        currency: instruction.currency.code().to_owned(),
        text: instruction.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::demo::input::parse_transfers;

    fn file(lines: &str) -> TransferFile {
        let text = format!("id,debtor,creditor,amount,currency,text\n{lines}");
        TransferFile::new(&parse_transfers(Path::new("t.csv"), text.as_bytes()).unwrap())
    }

    fn accounts() -> BTreeMap<String, Balance> {
        let account = |name: &str, currency: &str, closed| {
            let (account, currency) = (name.to_owned(), currency.to_owned());
            (name.to_owned(), Balance { account, currency, minor: 100, frozen_minor: 0, closed })
        };
        BTreeMap::from([
            account("a", "EUR", false),
            account("b", "EUR", false),
            account("c", "EUR", true),
            account("d", "JPY", false),
        ])
    }

    #[test]
    fn the_second_transfer_of_an_id_is_not_sent_whatever_it_says() {
        let file = file("1,a,b,1,EUR,\n1,a,b,1,EUR,\n2,a,b,1,EUR,\n1,b,a,9,EUR,\n");
        assert_eq!((file.orders.len(), file.repeated, file.len()), (2, 2, 4));
    }

    #[test]
    fn a_repeated_id_never_shifts_an_outcome_to_another_transfer() {
        let text = "id,debtor,creditor,amount,currency,text\n1,a,b,1,EUR,\n1,a,b,1,EUR,\n2,a,b,1,EUR,\n3,a,b,1,EUR,\n";
        let batch = parse_transfers(Path::new("t.csv"), text.as_bytes()).unwrap();
        let refused = |code: &str| Answer::Refused(code.into());
        let all = answers_of_all(&batch, vec![Answer::Accepted(None), refused("AM04")]);
        assert_eq!(all, [Answer::Accepted(None), refused("AM05"), refused("AM04"), Answer::Unknown]);
    }

    #[test]
    fn what_will_be_refused_or_has_its_outcome_holds_nobody_up() {
        let refused =
            "1,a,b,9,EUR,\n2,a,a,1,EUR,\n3,a,x,1,EUR,\n4,a,c,1,EUR,\n5,a,d,1,EUR,\n6,a,b,-1,EUR,\n7,a,b,0,EUR,\n8,a,b,1,EUR,\n";
        let file = file(refused);
        let mut known = vec![false; 8];
        known[7] = true;
        let mut keeper = file.keeper(&accounts(), &known);
        let handed_out: Vec<_> = std::iter::from_fn(|| keeper.next()).collect();
        assert_eq!(handed_out, (0..8).collect::<Vec<_>>(), "the first is for the ledger to decide, the rest move nothing");
    }
}
