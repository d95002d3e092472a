//! ISO 20022 customer credit transfer initiation, `pain.001.001.03` and `.09`.
//!
//! ```text
//!   Document / CstmrCdtTrfInitn
//!     GrpHdr        MsgId  NbOfTxs  [CtrlSum]
//!     PmtInf *      [PmtInfId]  [NbOfTxs]  [CtrlSum]  DbtrAcct/Id
//!       CdtTrfTxInf *   PmtId/{[InstrId] EndToEndId}  Amt/InstdAmt@Ccy  CdtrAcct/Id  [RmtInf/Ustrd *]
//! ```
//!
//! Only these elements are read, and both versions spell them alike; the rest is skipped. An element read twice where
//! the schema allows one is refused: two readers must not see two different payments in one file.

use std::path::Path;

use super::control::{Leaf, Stated, Totals};
use super::money::{Currency, Decimal};
use super::original::{NAMESPACE, NOT_PROVIDED};
use super::problem::{Findings, Problem, Problems, quoted};
use super::source::{MAX_TEXT_CHARS, Source, check_id, check_text};
use super::transfers::{parse_amount, parse_currency};
use super::xml::{Document, Element};
use super::{Batch, Format, Instruction, Original, PaymentInformation, References};

pub(super) fn parse(source: &Source<'_>) -> Result<Batch, Problems> {
    let mut message = Message::new(source.text);
    let format = message.read().map_err(|problem| message.refusal(source.file, problem))?;
    message.input.findings.settle(source.file, message.answerable())?;
    let original = message.original(format);
    Ok(Batch { original, payments: message.payments, instructions: message.instructions })
}

/// The whole message; each method reads the element it is named after, to its end.
struct Message<'a> {
    input: Input<'a>,
    format: Option<Format>,
    message_id: Option<Leaf>,
    stated: Stated,
    totals: Totals,
    payments: Vec<PaymentInformation>,
    instructions: Vec<Instruction>,
}

/// A `PmtInf`. Its debtor account may come after its transactions, so these wait for its end.
#[derive(Default)]
struct Payment {
    id: Option<Leaf>,
    debtor: Option<Leaf>,
    stated: Stated,
    totals: Totals,
    transactions: Vec<Transaction>,
}

/// A `CdtTrfTxInf`.
#[derive(Default)]
struct Transaction {
    line: u64,
    position: u64,
    instruction_id: Option<Leaf>,
    end_to_end_id: Option<Leaf>,
    instructed: Option<Leaf>,
    currency_code: Option<String>,
    creditor: Option<Leaf>,
    text: String,
}

impl<'a> Message<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            input: Input { document: Document::new(text), findings: Findings::default() },
            format: None,
            message_id: None,
            stated: Stated::default(),
            totals: Totals::default(),
            payments: Vec::new(),
            instructions: Vec::new(),
        }
    }

    fn id(&self) -> Option<&str> {
        self.message_id.as_ref().map(|id| id.value.as_str()).filter(|id| !id.is_empty())
    }

    fn original(&self, format: Format) -> Original {
        Original { format, message_id: self.id().map(str::to_owned), stated: self.stated.as_given() }
    }

    /// What a refusal would be the answer to: nothing that did not say which message it is.
    fn answerable(&self) -> Option<Original> {
        self.format.map(|format| self.original(format)).filter(|original| original.message_id.is_some())
    }

    fn refusal(&mut self, file: &Path, fatal: Problem) -> Problems {
        self.input.findings.add(fatal);
        self.input.findings.refusal(file, self.answerable())
    }

    /// An error is a document that cannot be read on; everything else goes to the findings.
    fn read(&mut self) -> Result<Format, Problem> {
        let root = self.input.document.root()?;
        let format = format_of(&root)?;
        self.format = Some(format);
        while let Some(element) = self.input.document.child()? {
            match element.name() {
                "CstmrCdtTrfInitn" => self.initiation()?,
                _ => self.input.document.skip()?,
            }
        }
        self.input.document.end()?;
        self.stated.check(&self.totals, &mut self.input.findings);
        if self.totals.count() == 0 {
            self.input.findings.add(Problem::at(root.line, "no transfers"));
        }
        Ok(format)
    }

    fn initiation(&mut self) -> Result<(), Problem> {
        while let Some(element) = self.input.document.child()? {
            match element.name() {
                "GrpHdr" => self.group_header(element.line)?,
                "PmtInf" if self.message_id.is_some() => self.payment(element.line)?,
                "PmtInf" => return Err(Problem::at(element.line, "<PmtInf> without a <MsgId> before it")),
                _ => self.input.document.skip()?,
            }
        }
        Ok(())
    }

    fn group_header(&mut self, line: u64) -> Result<(), Problem> {
        while let Some(element) = self.input.document.child()? {
            match element.name() {
                "MsgId" => self.input.leaf(&element, &mut self.message_id)?,
                "NbOfTxs" => self.input.leaf(&element, &mut self.stated.count)?,
                "CtrlSum" => self.input.leaf(&element, &mut self.stated.sum)?,
                _ => self.input.document.skip()?,
            }
        }
        if self.stated.count.is_none() {
            self.input.findings.add(Problem::at(line, "<GrpHdr> lacks <NbOfTxs>"));
        }
        Ok(())
    }

    fn payment(&mut self, line: u64) -> Result<(), Problem> {
        let mut payment = Payment::default();
        while let Some(element) = self.input.document.child()? {
            match element.name() {
                "PmtInfId" => self.input.leaf(&element, &mut payment.id)?,
                "NbOfTxs" => self.input.leaf(&element, &mut payment.stated.count)?,
                "CtrlSum" => self.input.leaf(&element, &mut payment.stated.sum)?,
                "DbtrAcct" => self.input.account(&mut payment.debtor)?,
                "CdtTrfTxInf" => self.transaction(element.line, &mut payment)?,
                _ => self.input.document.skip()?,
            }
        }
        let (stated, totals) = (std::mem::take(&mut payment.stated), payment.totals);
        let (id, transfers) = (value_of(&payment.id), payment.transactions.len());
        self.payments.push(PaymentInformation { id, stated: stated.as_given(), transfers });
        match payment.debtor.take() {
            Some(debtor) => self.instruct(payment, &debtor.value),
            None => self.input.findings.add(Problem::at(line, "<PmtInf> lacks a debtor account")),
        }
        // Last, because a sum is judged only once unreadable amounts are among the findings.
        stated.check(&totals, &mut self.input.findings);
        Ok(())
    }

    fn transaction(&mut self, line: u64, payment: &mut Payment) -> Result<(), Problem> {
        let position = self.totals.count() + 1;
        let mut transaction = Transaction { line, position, ..Transaction::default() };
        while let Some(element) = self.input.document.child()? {
            match element.name() {
                "PmtId" => self.input.payment_id(&mut transaction)?,
                "Amt" => self.input.amount(&mut transaction)?,
                "CdtrAcct" => self.input.account(&mut transaction.creditor)?,
                "RmtInf" => self.input.remittance(&mut transaction.text)?,
                _ => self.input.document.skip()?,
            }
        }
        let amount = transaction.amount().ok();
        self.totals.add(amount);
        payment.totals.add(amount);
        payment.transactions.push(transaction);
        Ok(())
    }

    /// Turns what a `PmtInf` held into instructions, or findings.
    fn instruct(&mut self, payment: Payment, debtor: &str) {
        let message_id = self.id().unwrap_or_default().to_owned();
        for transaction in payment.transactions {
            match transaction.instruction(&message_id, debtor) {
                Ok(instruction) => self.instructions.push(instruction),
                Err(problem) => self.input.findings.add(problem),
            }
        }
    }
}

impl Transaction {
    fn instruction(self, message_id: &str, debtor: &str) -> Result<Instruction, Problem> {
        let (amount, currency) = (self.amount()?, self.currency()?);
        let creditor = self.creditor.as_ref().ok_or_else(|| self.lacks("a creditor account"))?.value.clone();
        let id = self.identity(message_id)?;
        check_text("<Ustrd>", &self.text).map_err(|reason| Problem::at(self.line, reason))?;
        let (instruction_id, end_to_end_id) = (value_of(&self.instruction_id), value_of(&self.end_to_end_id));
        let references = References { instruction_id, end_to_end_id };
        let (position, line, text, debtor) = (self.position, self.line, self.text, debtor.to_owned());
        Ok(Instruction { position, line, id, debtor, creditor, amount, currency, text, references })
    }

    fn amount(&self) -> Result<Decimal, Problem> {
        let instructed = self.instructed.as_ref().ok_or_else(|| self.lacks("an amount"))?;
        parse_amount("<InstdAmt>", &instructed.value).map_err(|reason| Problem::at(instructed.line, reason))
    }

    fn currency(&self) -> Result<Currency, Problem> {
        let line = self.instructed.as_ref().map_or(self.line, |amount| amount.line);
        let code = self.currency_code.as_ref().ok_or_else(|| Problem::at(line, "<InstdAmt> lacks Ccy"))?;
        parse_currency(code).map_err(|reason| Problem::at(line, reason))
    }

    /// What makes this transfer itself. `#` is outside the characters ISO 20022 ids are made of in practice, so a
    /// made-up identity does not meet a given one.
    fn identity(&self, message_id: &str) -> Result<String, Problem> {
        let given = |id: &Option<Leaf>| value_of(id).filter(|id| id != NOT_PROVIDED);
        if self.end_to_end_id.is_none() {
            return Err(self.lacks("<EndToEndId>"));
        }
        let provided = given(&self.end_to_end_id).or_else(|| given(&self.instruction_id));
        Ok(provided.unwrap_or_else(|| format!("{message_id}#{}", self.position)))
    }

    fn lacks(&self, what: &str) -> Problem {
        Problem::at(self.line, format!("<CdtTrfTxInf> lacks {what}"))
    }
}

/// The document and what was found wrong in it.
struct Input<'a> {
    document: Document<'a>,
    findings: Findings,
}

impl Input<'_> {
    fn payment_id(&mut self, transaction: &mut Transaction) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            match element.name() {
                "InstrId" => self.leaf(&element, &mut transaction.instruction_id)?,
                "EndToEndId" => self.leaf(&element, &mut transaction.end_to_end_id)?,
                _ => self.document.skip()?,
            }
        }
        Ok(())
    }

    fn amount(&mut self, transaction: &mut Transaction) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            match element.name() {
                "InstdAmt" => {
                    transaction.currency_code = element.attribute("Ccy");
                    self.leaf(&element, &mut transaction.instructed)?;
                }
                _ => self.document.skip()?,
            }
        }
        Ok(())
    }

    /// `Id/IBAN` or `Id/Othr/Id`.
    fn account(&mut self, account: &mut Option<Leaf>) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            match element.name() {
                "Id" => self.account_id(account)?,
                _ => self.document.skip()?,
            }
        }
        Ok(())
    }

    fn account_id(&mut self, account: &mut Option<Leaf>) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            match element.name() {
                "IBAN" => self.leaf(&element, account)?,
                "Othr" => self.other_id(account)?,
                _ => self.document.skip()?,
            }
        }
        Ok(())
    }

    fn other_id(&mut self, account: &mut Option<Leaf>) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            match element.name() {
                "Id" => self.leaf(&element, account)?,
                _ => self.document.skip()?,
            }
        }
        Ok(())
    }

    /// All `Ustrd`, one line each.
    fn remittance(&mut self, text: &mut String) -> Result<(), Problem> {
        while let Some(element) = self.document.child()? {
            if element.name() != "Ustrd" {
                self.document.skip()?;
                continue;
            }
            let line = self.document.text()?;
            // The limit is checked afterwards; here it only stops the growth.
            if text.len() <= MAX_TEXT_CHARS * 4 {
                let separator = if text.is_empty() { "" } else { "\n" };
                text.extend([separator, line.as_str()]);
            }
        }
        Ok(())
    }

    /// Reads an element that must have a value and be the only one for `slot`.
    fn leaf(&mut self, element: &Element<'_>, slot: &mut Option<Leaf>) -> Result<(), Problem> {
        let (line, name) = (element.line, format!("<{}>", element.name()));
        let value = self.document.text()?;
        if let Err(reason) = check_id(&name, &value) {
            self.findings.add(Problem::at(line, reason));
        }
        if let Some(first) = slot {
            self.findings.add(Problem::at(line, format!("{name} repeats what line {} gave", first.line)));
        }
        *slot = Some(Leaf { line, value });
        Ok(())
    }
}

fn value_of(leaf: &Option<Leaf>) -> Option<String> {
    leaf.as_ref().map(|leaf| leaf.value.clone())
}

fn format_of(root: &Element<'_>) -> Result<Format, Problem> {
    let namespace = root.namespace().unwrap_or_default();
    let refuse = |reason: String| Err(Problem::at(root.line, reason));
    if root.name() != "Document" {
        return refuse(format!("the root element is {} instead of `Document`", quoted(root.name())));
    }
    let named = Format::MESSAGES.into_iter().find(|format| namespace.strip_prefix(NAMESPACE) == Some(format.name()));
    let [older, newer] = Format::MESSAGES.map(Format::name);
    named.map_or_else(|| refuse(format!("namespace {} is neither {older} nor {newer} of ISO 20022", quoted(namespace))), Ok)
}
