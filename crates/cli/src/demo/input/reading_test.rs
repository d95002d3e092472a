//! What is accepted, and what comes of it.

use std::path::Path;

use super::{Batch, Format, NotMinor, parse_accounts, parse_transfers};
use super::{Shape, generate, write_accounts, write_transfers};

fn read(text: impl AsRef<[u8]>) -> Batch {
    parse_transfers(Path::new("t"), text.as_ref()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

const ROWS: &str = "id,debtor,creditor,amount,currency,text\n1,A,B,1.50,EUR,\n2,B,A,3,JPY,Grüße\n";

#[test]
fn a_byte_order_mark_and_either_line_ending_change_nothing() {
    let plain = read(ROWS);
    assert_eq!(plain.original.format, Format::Csv);
    assert_eq!(plain, read(format!("\u{feff}{ROWS}")));
    assert_eq!(plain, read(ROWS.replace('\n', "\r\n")));
    assert_eq!(plain, read(ROWS.trim_end()));
    assert_eq!(plain.instructions[1].text, "Grüße");
}

#[test]
fn quoted_commas_quotes_and_line_breaks_are_text_and_lines_are_still_right() {
    for end in ["\n", "\r\n"] {
        let rows = "id,debtor,creditor,amount,currency,text\n1,A,B,1,EUR,\"a, \"\"b\"\"\nc\n\nd\"\n\"2\",A,B,1,EUR,x\n";
        let batch = read(rows.replace('\n', end));
        assert_eq!(batch.instructions[0].text.replace("\r\n", "\n"), "a, \"b\"\nc\n\nd");
        let lines: Vec<_> = batch.instructions.iter().map(|transfer| (transfer.id.as_str(), transfer.line)).collect();
        assert_eq!(lines, [("1", 2), ("2", 6)]);
    }
}

#[test]
fn what_refuses_one_transfer_does_not_refuse_the_file() {
    let batch =
        read("id,debtor,creditor,amount,currency,text\n1,A,A,-5,EUR,\n1,A,B,0.00,EUR,\n2,A,B,1.005,EUR,\n3,A,B,1.0,JPY,\n");
    let minors: Vec<_> = batch.instructions.iter().map(|transfer| transfer.amount.minor(transfer.currency.exponent())).collect();
    let fine = Err(NotMinor::TooManyDecimals);
    assert_eq!(minors, [Err(NotMinor::Negative), Ok(0), fine, fine]);
    assert!(batch.instructions[1].amount.is_zero());
}

/// One transfer under any prefix, with `id` for its `PmtId` and `text` for its `RmtInf`.
fn document(version: &str, prefix: &str, id: &str, text: &str) -> String {
    let (colon, binding) = if prefix.is_empty() { ("", "") } else { (":", ":") };
    format!(
        r#"<Document xmlns{binding}{prefix}="urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}"><CstmrCdtTrfInitn>
        <GrpHdr><MsgId> M&amp;1 </MsgId><NbOfTxs>1</NbOfTxs></GrpHdr><PmtInf><Dbtr><Nm>nobody</Nm></Dbtr>
        <CdtTrfTxInf><PmtId>{id}</PmtId><Amt><InstdAmt Ccy="KWD">1.250</InstdAmt></Amt>
        <CdtrAcct><Id><Othr><Id>C</Id></Othr></Id></CdtrAcct><RmtInf>{text}</RmtInf></CdtTrfTxInf>
        <DbtrAcct><Id><IBAN>D</IBAN></Id></DbtrAcct></PmtInf></CstmrCdtTrfInitn></Document>"#
    )
    .replace("</", &format!("\u{0}{prefix}{colon}"))
    .replace('<', &format!("<{prefix}{colon}"))
    .replace('\u{0}', "</")
}

#[test]
fn both_versions_under_any_prefix_read_the_same() {
    let id = "<EndToEndId>E</EndToEndId>";
    let plain = read(document("03", "", id, ""));
    assert_eq!((plain.original.format, plain.original.message_id.as_deref()), (Format::Pain001V03, Some("M&1")));
    for prefix in ["", "p", "pain.001"] {
        let other = read(document("09", prefix, id, ""));
        assert_eq!(other.original.format, Format::Pain001V09);
        assert_eq!((&plain.original.message_id, &plain.instructions), (&other.original.message_id, &other.instructions));
    }
    let foreign = format!("\u{feff}  {}", document("03", "", id, "<x:Ustrd xmlns:x=\"urn:x\">no</x:Ustrd>"));
    assert_eq!(plain, read(foreign));
}

#[test]
fn a_transfer_without_an_identity_gets_one_that_lasts() {
    for (given, id) in [
        ("<InstrId>I</InstrId><EndToEndId>E</EndToEndId>", "E"),
        ("<InstrId>I</InstrId><EndToEndId>NOTPROVIDED</EndToEndId>", "I"),
        ("<EndToEndId>NOTPROVIDED</EndToEndId>", "M&1#1"),
        ("<InstrId>NOTPROVIDED</InstrId><EndToEndId>NOTPROVIDED</EndToEndId>", "M&1#1"),
    ] {
        let transfer = read(document("03", "", given, "")).instructions.remove(0);
        assert_eq!(transfer.id, id);
        assert!(given.contains(&format!("<EndToEndId>{}</EndToEndId>", transfer.references.end_to_end_id.unwrap())));
        assert_eq!(transfer.references.instruction_id.is_some(), given.contains("InstrId"));
    }
}

#[test]
fn remittance_text_is_what_the_markup_means() {
    let markup = "<Ustrd>a &lt;b&gt; &#38; <!-- no --><![CDATA[<c> & d]]></Ustrd><Strd><Ustrd>not this</Ustrd></Strd>\
                  <![CDATA[<Ustrd>nor this</Ustrd>]]><?nor this?><Ustrd/><Ustrd> e </Ustrd>";
    let batch = read(document("09", "", "<EndToEndId>E</EndToEndId>", markup));
    assert_eq!(batch.instructions[0].text, "a <b> & <c> & d\n\ne");
}

#[test]
fn what_is_generated_is_read_back_as_it_was() {
    for shape in [Shape::Random, Shape::Payroll] {
        let (accounts, batch) = generate(shape, 300, 11);
        let (mut transfers_csv, mut accounts_csv) = (Vec::new(), Vec::new());
        write_transfers(&mut transfers_csv, &batch).unwrap();
        write_accounts(&mut accounts_csv, &accounts).unwrap();
        assert_eq!(read(&transfers_csv), batch);
        assert_eq!(parse_accounts(Path::new("a"), &accounts_csv).unwrap(), accounts);
    }
}

#[test]
fn what_was_read_is_written_so_that_it_reads_the_same() {
    let batch = read("id,debtor,creditor,amount,currency,text\n1,\"A,1\",B,-0.50,EUR,\"q \"\" \nx\"\n 2,A,B,7,KWD,\n");
    let mut again = Vec::new();
    write_transfers(&mut again, &batch).unwrap();
    let expected = "id,debtor,creditor,amount,currency,text\r\n1,\"A,1\",B,-0.50,EUR,\"q \"\" \nx\"\r\n 2,A,B,7,KWD,\r\n";
    assert_eq!(String::from_utf8(again).unwrap(), expected);
}
