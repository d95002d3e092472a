//! Golden refusals of ISO 20022 files: one change to a document that is accepted, and every word that comes out.

use std::path::Path;

use super::parse_transfers;

/// Accepted as it stands; its line numbers are what the tests below expect.
const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03">
 <CstmrCdtTrfInitn>
  <GrpHdr><MsgId>M1</MsgId>
   <NbOfTxs>2</NbOfTxs>
   <CtrlSum>30.5</CtrlSum></GrpHdr>
  <PmtInf><PmtInfId>P1</PmtInfId>
   <NbOfTxs>2</NbOfTxs>
   <CtrlSum>30.50</CtrlSum>
   <DbtrAcct><Id><IBAN>DEBTOR</IBAN></Id></DbtrAcct>
   <CdtTrfTxInf>
    <PmtId><EndToEndId>E1</EndToEndId></PmtId>
    <Amt><InstdAmt Ccy="EUR">10.25</InstdAmt></Amt>
    <CdtrAcct><Id><Othr><Id>FIRST</Id></Othr></Id></CdtrAcct>
    <RmtInf><Ustrd>text</Ustrd></RmtInf>
   </CdtTrfTxInf>
   <CdtTrfTxInf>
    <PmtId><EndToEndId>E2</EndToEndId></PmtId>
    <Amt><InstdAmt Ccy="KWD">20.250</InstdAmt></Amt>
    <CdtrAcct><Id><IBAN>SECOND</IBAN></Id></CdtrAcct>
   </CdtTrfTxInf>
  </PmtInf>
 </CstmrCdtTrfInitn>
</Document>
"#;

/// Replaces the one occurrence of `old`, or the last one if `old` begins with `…`.
#[track_caller]
fn refused_with(old: &str, new: &str, message_id: Option<&str>, expected: &str) {
    let at = match old.strip_prefix('…') {
        Some(old) => DOCUMENT.rfind(old),
        None => DOCUMENT.find(old),
    };
    let mut changed = DOCUMENT.to_owned();
    let at = at.expect("the document holds what is to be replaced");
    changed.replace_range(at..at + old.trim_start_matches('…').len(), new);
    let refusal = parse_transfers(Path::new("p.xml"), changed.as_bytes()).expect_err("the file was accepted");
    assert_eq!(refusal.to_string(), expected);
    assert_eq!(refusal.original.and_then(|original| original.message_id).as_deref(), message_id);
}

#[track_caller]
fn refused(old: &str, new: &str, expected: &str) {
    refused_with(old, new, Some("M1"), expected);
}

#[test]
fn the_unchanged_document_is_accepted() {
    let batch = parse_transfers(Path::new("p.xml"), DOCUMENT.as_bytes()).unwrap();
    assert_eq!(batch.instructions.iter().map(|transfer| transfer.line).collect::<Vec<_>>(), [11, 17]);
}

#[test]
fn another_encoding_is_never_read_as_if_it_were_utf_8() {
    refused_with("UTF-8", "ISO-8859-1", None, "p.xml:1: encoding \"ISO-8859-1\" instead of UTF-8");
    refused_with("UTF-8", "UTF-16", None, "p.xml:1: encoding \"UTF-16\" instead of UTF-8");
    refused_with("1.0", "1.1", None, "p.xml:1: XML version \"1.1\" instead of 1.0");
}

#[test]
fn a_document_of_another_kind_or_version_is_never_guessed_at() {
    let root = "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.03\">";
    let namespace = |namespace: &str, shown: &str| {
        let reason = format!("p.xml:2: namespace {shown} is neither pain.001.001.03 nor pain.001.001.09 of ISO 20022");
        refused_with(root, &format!("<Document{namespace}>"), None, &reason);
    };
    namespace("", "\"\"");
    namespace(" xmlns=\"pain.001.001.03\"", "\"pain.001.001.03\"");
    namespace(" xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.11\"", "\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.11\"");
    let other = root.replace("Document", "Dokument");
    refused_with(root, &other, None, "p.xml:2: the root element is \"Dokument\" instead of `Document`");
    refused_with(root, &root.replace("Document", "p:Document"), None, "p.xml:2: prefix \"p\" has no namespace");
}

#[test]
fn a_doctype_is_refused_before_it_can_expand() {
    let doctype = "?>\n<!DOCTYPE Document [<!ENTITY a \"b\">]>";
    refused_with("?>", doctype, None, "p.xml:2: a DOCTYPE is not accepted");
}

#[test]
fn an_entity_that_is_not_one_of_the_five_is_named() {
    refused("text", "&euro;", "p.xml:15: the reference \"&euro;\" is not accepted");
    refused("text", "&#27;", "p.xml:15: the reference \"&#27;\" is not accepted");
    refused("text", "&#xD800;", "p.xml:15: the reference \"&#xD800;\" is not accepted");
}

#[test]
fn a_document_cut_short_is_never_taken_for_a_whole_one() {
    refused("…</Document>\n", "", "p.xml:24: the document ends inside \"Document\" of line 2");
    refused("…  </PmtInf>\n </CstmrCdtTrfInitn>\n</Document>", "", "p.xml:23: the document ends inside \"PmtInf\" of line 7");
    refused("…</Document>", "</Docum", "p.xml:24: syntax error: tag not closed: `>` not found before end of input");
    refused("…</Document>", "<!-- ", "p.xml:24: syntax error: comment not closed: `-->` not found before end of input");
}

#[test]
fn elements_that_do_not_nest_are_named_with_their_line() {
    refused("</PmtId>", "</PmtInf>", "p.xml:12: ill-formed document: expected `</PmtId>`, but `</PmtInf>` was found");
    refused("…</Document>", "</Document><x/>", "p.xml:24: something follows the root element");
    let deep = "<x>".repeat(80);
    refused("<RmtInf>", &deep, "p.xml:15: elements are nested deeper than 64");
}

#[test]
fn text_where_none_belongs_is_never_passed_over_in_silence() {
    refused("<RmtInf>", "oops<RmtInf>", "p.xml:15: text \"oops\" between elements");
    refused("10.25", "10<b/>.25", "p.xml:13: element \"b\" where only text belongs");
}

#[test]
fn an_attribute_given_twice_is_refused() {
    let reason = "p.xml:13: element \"InstdAmt\": position 19: duplicated attribute, previous declaration at position 9";
    refused("Ccy=\"EUR\"", "Ccy=\"EUR\" Ccy=\"JPY\"", reason);
}

#[test]
fn a_count_that_disagrees_is_named_with_what_is_there() {
    let reason = "p.xml:5: <NbOfTxs> is \"3\" but there are 2";
    refused("<NbOfTxs>2", "<NbOfTxs>3", reason);
    refused("…<NbOfTxs>2", "<NbOfTxs>1", "p.xml:8: <NbOfTxs> is \"1\" but there are 2");
    refused("<NbOfTxs>2", "<NbOfTxs>two", "p.xml:5: <NbOfTxs> is \"two\" but there are 2");
    refused("   <NbOfTxs>2</NbOfTxs>", "", "p.xml:4: <GrpHdr> lacks <NbOfTxs>");
}

#[test]
fn a_control_sum_that_disagrees_is_named_with_the_sum() {
    refused("<CtrlSum>30.5", "<CtrlSum>30.51", "p.xml:6: <CtrlSum> \"30.51\" is not the sum of the amounts, 30.500");
    refused("…<CtrlSum>30.5", "<CtrlSum>3.05", "p.xml:9: <CtrlSum> \"3.050\" is not the sum of the amounts, 30.500");
    refused("<CtrlSum>30.5", "<CtrlSum>30,5", "p.xml:6: <CtrlSum> \"30,5\" is not a number");
}

#[test]
fn an_amount_that_cannot_be_read_is_one_problem_not_three() {
    refused("10.25", "10,25", "p.xml:13: <InstdAmt> \"10,25\" is not a number");
    refused(">10.25<", "><", "p.xml:13: <InstdAmt> is empty\np.xml:13: <InstdAmt> \"\" is not a number");
}

#[test]
fn an_amount_of_more_than_18_digits_is_refused_and_never_rounded() {
    let reason = "p.xml:13: <InstdAmt> \"0000000000000000010.25\" has more than 18 digits";
    refused("10.25", "0000000000000000010.25", reason);
}

#[test]
fn an_unknown_currency_is_named_with_its_line() {
    refused("\"EUR\"", "\"EURO\"", "p.xml:13: currency \"EURO\" is unknown");
    refused(" Ccy=\"EUR\"", "", "p.xml:13: <InstdAmt> lacks Ccy");
}

#[test]
fn a_missing_account_amount_or_id_is_named_with_its_line() {
    let debtor = "   <DbtrAcct><Id><IBAN>DEBTOR</IBAN></Id></DbtrAcct>";
    refused(debtor, "", "p.xml:7: <PmtInf> lacks a debtor account");
    refused("<Othr><Id>FIRST</Id></Othr>", "", "p.xml:11: <CdtTrfTxInf> lacks a creditor account");
    refused("<EndToEndId>E2</EndToEndId>", "", "p.xml:17: <CdtTrfTxInf> lacks <EndToEndId>");
    refused("FIRST", " ", "p.xml:14: <Id> is empty");
    refused_with("<MsgId>M1</MsgId>", "", None, "p.xml:7: <PmtInf> without a <MsgId> before it");
    refused_with(">M1<", "><", None, "p.xml:4: <MsgId> is empty");
    let amount = "<InstdAmt Ccy=\"EUR\">10.25</InstdAmt>";
    refused(amount, "", "p.xml:11: <CdtTrfTxInf> lacks an amount");
}

#[test]
fn a_value_given_twice_is_never_chosen_from() {
    refused("<IBAN>DEBTOR</IBAN>", "<IBAN>A</IBAN><Othr><Id>B</Id></Othr>", "p.xml:10: <Id> repeats what line 10 gave");
    refused("…</EndToEndId>", "</EndToEndId><EndToEndId>E3</EndToEndId>", "p.xml:18: <EndToEndId> repeats what line 18 gave");
}

#[test]
fn a_document_without_transfers_is_no_success() {
    let start = DOCUMENT.find("  <PmtInf>").unwrap();
    let end = DOCUMENT.find(" </CstmrCdtTrfInitn>").unwrap();
    let empty = DOCUMENT.replace(&DOCUMENT[start..end], "").replace(">2<", ">0<").replace("30.5", "0");
    let refusal = parse_transfers(Path::new("p.xml"), empty.as_bytes()).unwrap_err();
    assert_eq!(refusal.to_string(), "p.xml:2: no transfers");
}

#[test]
fn a_text_of_absurd_length_is_named_and_not_repeated() {
    refused("text", &"x".repeat(5_000), "p.xml:11: <Ustrd> is longer than 4096 characters");
}
