//! Whole reports, byte by byte: whoever reads them for a living must find nothing moved.

use std::path::Path;

use settee_core::id::{Generation, ShardId, Xid};

use super::super::driver::Answer;
use super::super::input::{Batch, Problems, parse_transfers};
use super::{Content, Header, Timestamp, pain002, rows};

/// Answered with what its README promises.
const SAMPLE: &str = include_str!("../../../../../examples/payments/samples/transfers.pain.001.001.03.xml");

/// Whatever a reader must not stumble over: markup in references, a group without an id, a group without transfers, totals that
/// are left out, a zero and a negative amount, more decimals than the schema has.
const AWKWARD: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>
<GrpHdr><MsgId>M&lt;1&gt; &amp; "more"</MsgId><NbOfTxs>5</NbOfTxs></GrpHdr>
<PmtInf><DbtrAcct><Id><IBAN>D</IBAN></Id></DbtrAcct>
<CdtTrfTxInf><PmtId><InstrId>I-1</InstrId><EndToEndId>NOTPROVIDED</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="KWD">1.250</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf>
<CdtTrfTxInf><PmtId><EndToEndId>E-2</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="EUR">-5.00</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf>
<CdtTrfTxInf><PmtId><EndToEndId>E-3</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="EUR">0</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf></PmtInf>
<PmtInf><PmtInfId>EMPTY</PmtInfId><DbtrAcct><Id><IBAN>D</IBAN></Id></DbtrAcct></PmtInf>
<PmtInf><PmtInfId>P-3</PmtInfId><CtrlSum>1.1234567</CtrlSum><DbtrAcct><Id><IBAN>D</IBAN></Id></DbtrAcct>
<CdtTrfTxInf><PmtId><EndToEndId>E-4</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="EUR">0.1234567</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf>
<CdtTrfTxInf><PmtId><EndToEndId>E-5</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="EUR">1</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf></PmtInf>
</CstmrCdtTrfInitn></Document>"#;

/// Settled, refused, repeated and unknown.
const ROWS: &str = "id,debtor,creditor,amount,currency,text\n1,A,B,12.50,EUR,rent\n\"2, \"\"x\"\"\",A,Q,7,JPY,\n\
                    1,A,B,12.50,EUR,rent\n3,B,A,0.250,KWD,\n";

/// Wrong in more than one place, and in one at length. Its count is none, so it is not repeated.
const WRONG: &str = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"><CstmrCdtTrfInitn>
<GrpHdr><MsgId>M-7</MsgId><NbOfTxs>two</NbOfTxs><CtrlSum>1.5</CtrlSum></GrpHdr>
<PmtInf><DbtrAcct><Id><IBAN>D</IBAN></Id></DbtrAcct>
<CdtTrfTxInf><PmtId><EndToEndId/></PmtId>
<Amt><InstdAmt Ccy="EUR">1.5</InstdAmt></Amt><CdtrAcct><Id><IBAN>C</IBAN></Id></CdtrAcct></CdtTrfTxInf>
</PaymentInformationUnderANameOfItsOwnThatNobodyHasAgreedOn></CstmrCdtTrfInitn></Document>"#;

fn batch(text: &str) -> Batch {
    parse_transfers(Path::new("t"), text.as_bytes()).unwrap()
}

fn problems(text: &str) -> Problems {
    parse_transfers(Path::new("t"), text.as_bytes()).unwrap_err()
}

fn settled(counter: u64) -> Answer {
    Answer::Accepted(Some(Xid::new(ShardId(7), Generation(1), counter, 0xfeed)))
}

fn refused(code: &str) -> Answer {
    Answer::Refused(code.into())
}

fn xml(content: &Content<'_>) -> String {
    let header =
        Header { message_id: "0af7651916cd43dd8448eb211c80319c".into(), created: Timestamp::from_millis(1_774_431_000_000) };
    let mut out = Vec::new();
    pain002::write(&mut out, &header, content).unwrap();
    String::from_utf8(out).unwrap()
}

fn csv(content: &Content<'_>) -> String {
    let mut out = Vec::new();
    rows::write(&mut out, content).unwrap();
    String::from_utf8(out).unwrap()
}

fn with_batch<T>(text: &str, answers: &[Answer], write: impl Fn(&Content<'_>) -> T) -> T {
    write(&Content::Settled { batch: &batch(text), answers })
}

fn with_problems<T>(text: &str, write: impl Fn(&Content<'_>) -> T) -> T {
    let problems = problems(text);
    write(&Content::Refused { original: problems.original.as_ref().unwrap(), problems: &problems })
}

fn answers_to_sample() -> Vec<Answer> {
    let reasons = |position| match position {
        5 => refused("AC04"),
        12 => refused("AM04"),
        settled_one => settled(settled_one),
    };
    (1..=12).map(reasons).collect()
}

fn answers_to_awkward() -> Vec<Answer> {
    vec![settled(1), refused("AM12"), refused("AM01"), refused("AM12"), Answer::Unknown]
}

fn answers_to_rows() -> Vec<Answer> {
    vec![settled(1), refused("AC01"), refused("AM05"), Answer::Unknown]
}

/// Every XML report here, by the name of its golden file.
pub(super) fn documents() -> [(&'static str, String); 4] {
    [
        ("sample.xml", with_batch(SAMPLE, &answers_to_sample(), xml)),
        ("awkward.xml", with_batch(AWKWARD, &answers_to_awkward(), xml)),
        ("rows.xml", with_batch(ROWS, &answers_to_rows(), xml)),
        ("wrong.xml", with_problems(WRONG, xml)),
    ]
}

#[test]
fn an_xml_report_never_changes_unnoticed() {
    let golden = [
        include_str!("golden/sample.xml"),
        include_str!("golden/awkward.xml"),
        include_str!("golden/rows.xml"),
        include_str!("golden/wrong.xml"),
    ];
    for ((name, written), golden) in documents().into_iter().zip(golden) {
        assert!(written == golden, "{name} differs; what was written:\n{written}");
    }
}

#[test]
fn a_csv_report_never_changes_unnoticed() {
    let written = with_batch(ROWS, &answers_to_rows(), csv);
    assert!(written == include_str!("golden/rows.csv"), "rows.csv differs; what was written:\n{written}");
    let written = with_problems(WRONG, csv);
    assert!(written == include_str!("golden/wrong.csv"), "wrong.csv differs; what was written:\n{written}");
}
