//! The reports against the schemas of ISO 20022: every element in its place, every value of its type.
//!
//! The schemas themselves are not in this tree; these are the sequences of `pain.002.001.03` and `.10` for the elements that we
//! write, complete with those that we do not. `!` is mandatory, `*` may repeat.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::super::input::Decimal;
use super::golden_test::documents;

const SEQUENCES: &[(&str, &str)] = &[
    ("Document", "CstmrPmtStsRpt!"),
    ("GrpHdr", "MsgId! CreDtTm! InitgPty FwdgAgt DbtrAgt CdtrAgt"),
    ("OrgnlGrpInfAndSts", "OrgnlMsgId! OrgnlMsgNmId! OrgnlCreDtTm OrgnlNbOfTxs OrgnlCtrlSum GrpSts StsRsnInf* NbOfTxsPerSts*"),
    ("OrgnlPmtInfAndSts", "OrgnlPmtInfId! OrgnlNbOfTxs OrgnlCtrlSum PmtInfSts StsRsnInf* NbOfTxsPerSts* TxInfAndSts*"),
    ("StsRsnInf", "Orgtr Rsn AddtlInf*"),
    ("Rsn", "Cd!"),
    ("NbOfTxsPerSts", "DtldNbOfTxs! DtldSts! DtldCtrlSum"),
    ("OrgnlTxRef", "IntrBkSttlmAmt Amt IntrBkSttlmDt ReqdColltnDt ReqdExctnDt PmtTpInf PmtMtd RmtInf Dbtr DbtrAcct CdtrAcct"),
    ("Amt", "InstdAmt!"),
];

const OF_VERSION_03: &[(&str, &str)] = &[
    ("CstmrPmtStsRpt", "GrpHdr! OrgnlGrpInfAndSts! OrgnlPmtInfAndSts*"),
    ("TxInfAndSts", "StsId OrgnlInstrId OrgnlEndToEndId TxSts StsRsnInf* ChrgsInf* AccptncDtTm AcctSvcrRef ClrSysRef OrgnlTxRef"),
];

const OF_VERSION_10: &[(&str, &str)] = &[
    ("CstmrPmtStsRpt", "GrpHdr! OrgnlGrpInfAndSts! OrgnlPmtInfAndSts* SplmtryData*"),
    (
        "TxInfAndSts",
        "StsId OrgnlInstrId OrgnlEndToEndId OrgnlUETR TxSts StsRsnInf* ChrgsInf* TrckrData AccptncDtTm AcctSvcrRef ClrSysRef \
         OrgnlTxRef SplmtryData*",
    ),
];

/// Whether a text is a value of the type that its element has.
fn is_of_type(element: &str, text: &str) -> bool {
    let length = text.chars().count();
    let is_count = (1..=15).contains(&length) && text.bytes().all(|digit| digit.is_ascii_digit());
    match element {
        "MsgId" | "OrgnlMsgId" | "OrgnlMsgNmId" | "OrgnlPmtInfId" | "OrgnlInstrId" | "OrgnlEndToEndId" | "AcctSvcrRef" => {
            (1..=35).contains(&length)
        }
        "CreDtTm" => length == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T',
        "AddtlInf" => (1..=105).contains(&length),
        "Cd" => (1..=4).contains(&length),
        "OrgnlNbOfTxs" | "DtldNbOfTxs" => is_count,
        "OrgnlCtrlSum" => Decimal::parse(text).is_ok(),
        "InstdAmt" => Decimal::parse(text).is_ok_and(|amount| amount.parts().0 >= 0 && amount.parts().1 <= 5),
        "TxSts" | "DtldSts" => ["ACSC", "RJCT", "PDNG"].contains(&text),
        "GrpSts" | "PmtInfSts" => ["ACSC", "RJCT", "PDNG", "PART"].contains(&text),
        _ => false,
    }
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

fn parse(document: &str) -> Element {
    let mut reader = Reader::from_str(document);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let attributes = start.attributes().map(Result::unwrap);
                let attributes = attributes.map(|one| (one.key.as_ref().to_owned(), one.value.clone().into_owned())).collect();
                open.push(Element { name: start.name().as_ref().to_owned(), attributes, ..Element::default() });
            }
            Event::End(_) => {
                let ended = open.pop().unwrap();
                open.last_mut().unwrap().children.push(ended);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => {
                let symbol = quick_xml::escape::resolve_predefined_entity(&name).unwrap();
                open.last_mut().unwrap().text.push_str(symbol);
            }
            Event::Decl(_) => {}
            Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// What is wrong with the children of an element.
fn misplaced(sequence: &str, children: &[&str]) -> Option<String> {
    let mut rest = children;
    for slot in sequence.split_whitespace() {
        let name = slot.trim_end_matches(['!', '*']);
        let count = rest.iter().take_while(|child| **child == name).count();
        if count == 0 && slot.ends_with('!') || count > 1 && !slot.ends_with('*') {
            return Some(format!("{name} occurs {count} times"));
        }
        rest = &rest[count..];
    }
    rest.first().map(|child| format!("{child} is out of place"))
}

fn check(element: &Element, of_version: &[(&str, &str)]) {
    let sequence = SEQUENCES.iter().chain(of_version).find(|(name, _)| *name == element.name);
    let Some((name, sequence)) = sequence else {
        assert!(element.children.is_empty() && is_of_type(&element.name, &element.text), "{element:?}");
        return;
    };
    let children: Vec<_> = element.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(misplaced(sequence, &children), None, "{name} with {children:?}");
    assert!(element.text.trim().is_empty(), "{element:?}");
    element.children.iter().for_each(|child| check(child, of_version));
}

#[test]
fn every_element_is_where_the_schema_wants_it_and_of_its_type() {
    for (name, document) in documents() {
        let root = parse(&document);
        let (version, of_version) = match name {
            "sample.xml" | "wrong.xml" => ("pain.002.001.03", OF_VERSION_03),
            _ => ("pain.002.001.10", OF_VERSION_10),
        };
        let namespace = format!("urn:iso:std:iso:20022:tech:xsd:{version}");
        assert_eq!(root.attributes, [("xmlns".to_owned(), namespace)], "{name}");
        check(&root, of_version);
    }
}

#[test]
fn the_check_sees_what_is_missing_doubled_or_out_of_place() {
    for (children, wrong) in [
        (&["A", "C", "C"][..], None),
        (&["C"], Some("A occurs 0 times")),
        (&["A", "B", "B"], Some("B occurs 2 times")),
        (&["A", "C", "B"], Some("B is out of place")),
        (&["A", "D"], Some("D is out of place")),
    ] {
        assert_eq!(misplaced("A! B C*", children).as_deref(), wrong, "{children:?}");
    }
}
