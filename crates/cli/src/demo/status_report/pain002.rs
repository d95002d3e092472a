//! The report as ISO 20022 customer payment status report: `pain.002.001.03` in answer to `pain.001.001.03`, else
//! `pain.002.001.10`.
//!
//! ```text
//!   Document / CstmrPmtStsRpt
//!     GrpHdr                MsgId  CreDtTm
//!     OrgnlGrpInfAndSts     OrgnlMsgId  OrgnlMsgNmId  [OrgnlNbOfTxs]  [OrgnlCtrlSum]  GrpSts  [StsRsnInf]  NbOfTxsPerSts *
//!     OrgnlPmtInfAndSts *   OrgnlPmtInfId  [OrgnlNbOfTxs]  [OrgnlCtrlSum]  PmtInfSts
//!       TxInfAndSts *       [OrgnlInstrId]  OrgnlEndToEndId  TxSts  [StsRsnInf]  [AcctSvcrRef]  [OrgnlTxRef/Amt/InstdAmt@Ccy]
//! ```
//! Both versions spell these elements alike and want them in this order. References are repeated exactly as they were given, also
//! where they are longer than the schema's 35 characters: a report that nobody can match to a transfer is of no use.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::super::driver::Answer;
use super::super::input::{
    Batch, Decimal, Format, Instruction, NAMESPACE, NOT_PROVIDED, Original, PaymentInformation, Problems, StatedTotals,
};
use super::super::tables;
use super::status::{Counts, Status};
use super::{Content, Header};

/// "File format incomplete or invalid": the reason of a file that was refused whole.
pub(super) const UNUSABLE_FILE: &str = "FF01";

/// Characters of one `AddtlInf`.
const MAX_ADDITIONAL_CHARS: usize = 105;

/// Decimals of an amount, and digits of a count, in the schema.
const MAX_DECIMALS: u8 = 5;
const MAX_COUNT_DIGITS: usize = 15;

/// Writes a whole report.
pub(super) fn write(out: impl Write, header: &Header, content: &Content<'_>) -> io::Result<()> {
    let mut report = Report { xml: Writer::new_with_indent(out, b' ', 2) };
    report.xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let namespace = format!("{NAMESPACE}{}", name(content.original().format));
    let document = BytesStart::new("Document").with_attributes([("xmlns", namespace.as_str())]);
    report.within(document, |report| report.element("CstmrPmtStsRpt", |report| report.content(header, content)))?;
    report.xml.get_mut().write_all(b"\n")
}

/// The version that answers a format.
fn name(format: Format) -> &'static str {
    match format {
        Format::Pain001V03 => "pain.002.001.03",
        Format::Pain001V09 | Format::Csv => "pain.002.001.10",
    }
}

impl Content<'_> {
    fn original(&self) -> &Original {
        match self {
            Self::Settled { batch, .. } => &batch.original,
            Self::Refused { original, .. } => original,
        }
    }
}

/// A report being written; each method writes the element it is named after.
struct Report<W> {
    xml: Writer<W>,
}

impl<W: Write> Report<W> {
    fn content(&mut self, header: &Header, content: &Content<'_>) -> io::Result<()> {
        self.element("GrpHdr", |report| {
            report.leaf("MsgId", &header.message_id)?;
            report.leaf("CreDtTm", &header.created.to_string())
        })?;
        match content {
            Content::Refused { original, problems } => {
                self.element("OrgnlGrpInfAndSts", |report| report.refused_group(original, problems))
            }
            Content::Settled { batch, answers } => {
                self.element("OrgnlGrpInfAndSts", |report| report.settled_group(batch, answers))?;
                self.payments(batch, answers)
            }
        }
    }

    fn refused_group(&mut self, original: &Original, problems: &Problems) -> io::Result<()> {
        self.original(original)?;
        self.totals(&original.stated)?;
        self.leaf("GrpSts", Status::Rejected.code())?;
        self.status_reason(Some(UNUSABLE_FILE), &problems.lines().collect::<Vec<_>>())
    }

    fn settled_group(&mut self, batch: &Batch, answers: &[Answer]) -> io::Result<()> {
        let counts = Counts::of(answers);
        let transfers = batch.original.stated.transfers.clone().unwrap_or_else(|| answers.len().to_string());
        self.original(&batch.original)?;
        self.totals(&StatedTotals { transfers: Some(transfers), ..batch.original.stated.clone() })?;
        self.leaf("GrpSts", counts.status().code())?;
        for (status, count) in counts.each() {
            self.element("NbOfTxsPerSts", |report| {
                report.leaf("DtldNbOfTxs", &count.to_string())?;
                report.leaf("DtldSts", status.code())
            })?;
        }
        Ok(())
    }

    fn original(&mut self, original: &Original) -> io::Result<()> {
        self.leaf("OrgnlMsgId", original.message_id.as_deref().unwrap_or(NOT_PROVIDED))?;
        self.leaf("OrgnlMsgNmId", original.format.name())
    }

    /// What a file that was refused says of itself may be anything; only what the schema allows is repeated.
    fn totals(&mut self, stated: &StatedTotals) -> io::Result<()> {
        let is_count =
            |text: &&str| (1..=MAX_COUNT_DIGITS).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        if let Some(transfers) = stated.transfers.as_deref().filter(is_count) {
            self.leaf("OrgnlNbOfTxs", transfers)?;
        }
        if let Some(sum) = stated.control_sum.as_deref().filter(|text| Decimal::parse(text).is_ok()) {
            self.leaf("OrgnlCtrlSum", sum)?;
        }
        Ok(())
    }

    fn payments(&mut self, batch: &Batch, answers: &[Answer]) -> io::Result<()> {
        let (mut instructions, mut answers) = (batch.instructions.as_slice(), answers);
        for payment in batch.payments.iter().filter(|payment| payment.transfers > 0) {
            let (own, later) = instructions.split_at(payment.transfers);
            let (own_answers, later_answers) = answers.split_at(payment.transfers);
            (instructions, answers) = (later, later_answers);
            self.element("OrgnlPmtInfAndSts", |report| report.payment(payment, own, own_answers))?;
        }
        Ok(())
    }

    fn payment(&mut self, payment: &PaymentInformation, transfers: &[Instruction], answers: &[Answer]) -> io::Result<()> {
        self.leaf("OrgnlPmtInfId", payment.id.as_deref().unwrap_or(NOT_PROVIDED))?;
        self.totals(&payment.stated)?;
        self.leaf("PmtInfSts", Counts::of(answers).status().code())?;
        for (transfer, answer) in transfers.iter().zip(answers) {
            self.element("TxInfAndSts", |report| report.transfer(transfer, answer))?;
        }
        Ok(())
    }

    fn transfer(&mut self, transfer: &Instruction, answer: &Answer) -> io::Result<()> {
        if let Some(id) = &transfer.references.instruction_id {
            self.leaf("OrgnlInstrId", id)?;
        }
        self.leaf("OrgnlEndToEndId", transfer.references.end_to_end_id.as_ref().unwrap_or(&transfer.id))?;
        self.leaf("TxSts", Status::of(answer).code())?;
        let amount = Amount::of(transfer);
        match answer {
            Answer::Accepted(xid) => {
                if let Some(xid) = xid {
                    self.leaf("AcctSvcrRef", &xid.to_string())?;
                }
            }
            Answer::Refused(code) => {
                let words = [tables::reason(code).to_owned()].into_iter().filter(|words| !words.is_empty());
                self.status_reason(Some(code), &words.chain(amount.in_words()).collect::<Vec<_>>())?;
            }
            Answer::Unknown => self.status_reason(None, &[tables::NO_OUTCOME.to_owned()])?,
        }
        self.amount(&amount)
    }

    fn status_reason(&mut self, code: Option<&str>, words: &[String]) -> io::Result<()> {
        self.element("StsRsnInf", |report| {
            if let Some(code) = code {
                report.element("Rsn", |report| report.leaf("Cd", code))?;
            }
            words.iter().try_for_each(|words| report.leaf("AddtlInf", &cut(words)))
        })
    }

    fn amount(&mut self, amount: &Amount<'_>) -> io::Result<()> {
        let Amount::InSchema(transfer) = amount else { return Ok(()) };
        let instructed = BytesStart::new("InstdAmt").with_attributes([("Ccy", transfer.currency.code())]);
        let text = transfer.amount.to_string();
        self.element("OrgnlTxRef", |report| report.element("Amt", |report| report.text(instructed, &text)))
    }

    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.within(BytesStart::new(name), content)
    }

    fn within(&mut self, start: BytesStart<'_>, content: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.xml.write_event(Event::Start(start.borrow()))?;
        content(self)?;
        self.xml.write_event(Event::End(start.to_end()))
    }

    fn leaf(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.text(BytesStart::new(name), text)
    }

    fn text(&mut self, start: BytesStart<'_>, text: &str) -> io::Result<()> {
        self.xml.write_event(Event::Start(start.borrow()))?;
        self.xml.write_event(Event::Text(BytesText::new(text)))?;
        self.xml.write_event(Event::End(BytesEnd::new(start.name().into_inner())))
    }
}

/// An amount as it was given. Of a transfer that was refused it may be one that the schema has no place for.
enum Amount<'a> {
    InSchema(&'a Instruction),
    Other(&'a Instruction),
}

impl<'a> Amount<'a> {
    fn of(transfer: &'a Instruction) -> Self {
        let (digits, decimals) = transfer.amount.parts();
        if digits >= 0 && decimals <= MAX_DECIMALS { Self::InSchema(transfer) } else { Self::Other(transfer) }
    }

    fn in_words(&self) -> Option<String> {
        match self {
            Self::InSchema(_) => None,
            Self::Other(transfer) => Some(format!("the amount as given: {} {}", transfer.currency, transfer.amount)),
        }
    }
}

fn cut(words: &str) -> String {
    if words.chars().count() <= MAX_ADDITIONAL_CHARS {
        return words.to_owned();
    }
    words.chars().take(MAX_ADDITIONAL_CHARS - 1).chain(['…']).collect()
}
