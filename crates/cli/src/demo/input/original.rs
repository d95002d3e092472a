//! What a file says of itself, kept because an answer repeats the references of what it answers.

/// What the namespaces of ISO 20022 messages begin with.
pub(crate) const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:";

/// What ISO 20022 writes for a reference that is mandatory and was not given; by its own convention it identifies nothing.
pub(crate) const NOT_PROVIDED: &str = "NOTPROVIDED";

/// The message that a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// What it was written in.
    pub format: Format,
    /// `GrpHdr/MsgId`; CSV has none.
    pub message_id: Option<String>,
    /// What its header says is in it; nothing in CSV.
    pub stated: StatedTotals,
}

impl Original {
    /// A file that has no header to say anything with.
    #[must_use]
    pub fn csv() -> Self {
        Self { format: Format::Csv, message_id: None, stated: StatedTotals::default() }
    }
}

/// The formats a transfers file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 with the header `id,debtor,creditor,amount,currency,text`.
    Csv,
    /// ISO 20022 `pain.001.001.03`.
    Pain001V03,
    /// ISO 20022 `pain.001.001.09`.
    Pain001V09,
}

impl Format {
    /// Those of ISO 20022.
    pub(super) const MESSAGES: [Self; 2] = [Self::Pain001V03, Self::Pain001V09];

    /// What it is called: `CSV`, `pain.001.001.03`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Pain001V03 => "pain.001.001.03",
            Self::Pain001V09 => "pain.001.001.09",
        }
    }
}

/// `NbOfTxs` and `CtrlSum` exactly as given. They agree with the transfers of a file that was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedTotals {
    /// `NbOfTxs`.
    pub transfers: Option<String>,
    /// `CtrlSum`.
    pub control_sum: Option<String>,
}

/// A `PmtInf`: transfers of one debtor that stand together. CSV is one of these, without an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentInformation {
    /// `PmtInfId`.
    pub id: Option<String>,
    /// What it says is in it.
    pub stated: StatedTotals,
    /// How many transfers it has, which follow those of the one before it. May be none.
    pub transfers: usize,
}

/// The references of an ISO 20022 transfer exactly as given, `NOTPROVIDED` included; empty for CSV.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// `PmtId/InstrId`.
    pub instruction_id: Option<String>,
    /// `PmtId/EndToEndId`.
    pub end_to_end_id: Option<String>,
}
