//! Golden refusals of CSV files: what goes in, and every word that comes out.

use std::path::Path;

use super::{Original, parse_accounts, parse_transfers, read_transfers};

const HEADER: &str = "id,debtor,creditor,amount,currency,text\n";

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, expected: &str) {
    let refusal = parse_transfers(Path::new("t.csv"), bytes.as_ref()).expect_err("the file was accepted");
    assert_eq!(refusal.to_string(), expected);
    assert!(refusal.original.is_none_or(|original| *original == Original::csv()));
}

#[track_caller]
fn refused_rows(rows: &str, expected: &str) {
    refused(format!("{HEADER}{rows}"), expected);
}

#[track_caller]
fn refused_accounts(rows: &str, expected: &str) {
    let text = format!("account,owner,currency,opening_balance,status\n{rows}");
    let refusal = parse_accounts(Path::new("a.csv"), text.as_bytes()).expect_err("the file was accepted");
    assert_eq!(refusal.to_string(), expected);
}

#[test]
fn a_missing_file_is_named() {
    let refusal = read_transfers(Path::new("no/such/transfers.csv")).unwrap_err();
    assert_eq!(refusal.to_string(), "no/such/transfers.csv: no such file");
}

#[test]
fn a_directory_in_place_of_a_file_is_named() {
    let refusal = read_transfers(Path::new(".")).unwrap_err().to_string();
    assert!(refusal.starts_with(".: cannot be read: "), "{refusal}");
}

#[test]
fn another_encoding_is_never_read_as_if_it_were_utf_8() {
    refused([HEADER.as_bytes(), b"1,A,B,1.00,EUR,ok\n2,A,B,1.00,EUR,Z\xFCrich\n"].concat(), "t.csv:3: is not UTF-8");
    let wide = |order: fn(u16) -> [u8; 2]| HEADER.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let reason = "t.csv:1: is not UTF-8 (it looks like UTF-16 or UTF-32)";
    refused(wide(u16::to_le_bytes), reason);
    refused(wide(u16::to_be_bytes), reason);
    refused([&[0xFF, 0xFE], wide(u16::to_le_bytes).as_slice()].concat(), reason);
}

#[test]
fn a_control_character_never_reaches_a_terminal() {
    refused_rows("1,A,B,1.00,EUR,\u{1b}[2J\n", "t.csv:2: holds the control character U+001B");
    refused_rows("1,A,B,1.00,EUR,a\0b\n", "t.csv:2: holds the control character U+0000");
    refused_rows("1\u{fffe},A,B,1.00,EUR,x\n", "t.csv:2: holds the noncharacter U+FFFE");
}

#[test]
fn a_file_with_another_header_is_never_taken_for_transfers() {
    let reason = "t.csv:1: the header is not `id,debtor,creditor,amount,currency,text`";
    for header in ["", "\u{feff}", "id;debtor;creditor;amount;currency;text\n", "id,debtor,creditor,amount,currency\n"] {
        refused(header, reason);
    }
    for header in ["ID,debtor,creditor,amount,currency,text\n", "debtor,id,creditor,amount,currency,text\n", "\u{feff} id\n"] {
        refused(header, reason);
    }
    refused("1,A,B,1.00,EUR,no header\n", reason);
}

#[test]
fn a_line_with_too_few_or_too_many_fields_is_named() {
    refused_rows(
        "1,A,B,1.00,EUR\n2,A,B,1,00,EUR,x\n3,A,B,1.00,EUR,fine\n4\n",
        "t.csv:2: 5 fields instead of 6\nt.csv:3: 7 fields instead of 6\nt.csv:5: 1 field instead of 6",
    );
}

#[test]
fn an_empty_line_is_never_passed_over_in_silence() {
    refused_rows("1,A,B,1.00,EUR,x\n\n2,A,B,1.00,EUR,y\n", "t.csv:3: an empty line");
}

#[test]
fn an_unclosed_quote_keeps_the_problems_before_it() {
    refused_rows("1,A,B,1.00,EUR,\"say \"\"hi\"\"\n2,A,B,1.00,EUR,x\n", "t.csv:2: a quote is not closed");
    refused_rows("1,A,,1.00,EUR,x\n2,A,B,1.00,EUR,\"x\n", "t.csv:2: creditor is empty\nt.csv:3: a quote is not closed");
}

#[test]
fn a_stray_quote_or_carriage_return_never_shifts_the_fields_behind_it() {
    refused_rows("1,A,B,1.00,EUR,5\" pipe\n", "t.csv:2: a quote inside a field without quotes");
    refused_rows("1,A,B,1.00,EUR,\"x\"y\n", "t.csv:2: text after a closing quote");
    refused_rows("1,A,B,1.00,EUR,x\r2,A,B,1.00,EUR,y\n", "t.csv:2: a carriage return without a line feed");
}

#[test]
fn an_amount_that_is_not_a_number_is_named_with_its_line() {
    refused_rows(
        "1,A,B,,EUR,x\n2,A,B,1e3,EUR,x\n3,A,B,\"1,000.00\",EUR,x\n4,A,B, 1,EUR,x\n5,A,B,+1,EUR,x\n",
        "t.csv:2: amount \"\" is not a number\nt.csv:3: amount \"1e3\" is not a number\n\
         t.csv:4: amount \"1,000.00\" is not a number\nt.csv:5: amount \" 1\" is not a number\n\
         t.csv:6: amount \"+1\" is not a number",
    );
}

#[test]
fn an_amount_of_more_than_18_digits_is_refused_and_never_rounded() {
    refused_rows("1,A,B,12345678901234567.89,EUR,x\n", "t.csv:2: amount \"12345678901234567.89\" has more than 18 digits");
}

#[test]
fn an_unknown_currency_is_named_with_its_line() {
    refused_rows(
        "1,A,B,1.00,EUX,x\n2,A,B,1.00,eur,x\n3,A,B,1.00,XAU,x\n",
        "t.csv:2: currency \"EUX\" is unknown\nt.csv:3: currency \"eur\" is unknown\nt.csv:4: currency \"XAU\" is unknown",
    );
}

#[test]
fn an_empty_id_or_account_is_named_with_its_line() {
    refused_rows(
        ",A,B,1.00,EUR,x\n2,,B,1.00,EUR,x\n3,A, ,1.00,EUR,x\n\"4\n5\",A,B,1.00,EUR,x\n",
        "t.csv:2: id is empty\nt.csv:3: debtor is empty\nt.csv:4: creditor is empty\n\
         t.csv:5: id \"4\\n5\" holds a line break or tab",
    );
}

#[test]
fn an_absurdly_long_field_is_named_and_not_repeated() {
    let long = "é".repeat(141);
    refused_rows(&format!("{long},A,B,1.00,EUR,x\n"), "t.csv:2: id is longer than 140 characters");
    let long = "x".repeat(4_097);
    refused_rows(&format!("1,A,B,1.00,EUR,{long}\n"), "t.csv:2: text is longer than 4096 characters");
}

#[test]
fn a_file_without_transfers_is_no_success() {
    refused_rows("", "t.csv: no transfers");
}

#[test]
fn more_problems_than_fit_are_counted() {
    let refusal = parse_transfers(Path::new("t.csv"), format!("{HEADER}{}", "x\n".repeat(30)).as_bytes()).unwrap_err();
    assert_eq!((refusal.listed.len(), refusal.unlisted), (20, 10));
    assert!(refusal.to_string().ends_with("t.csv:21: 1 field instead of 6\n… and 10 more"));
}

#[test]
fn accounts_with_impossible_balances_are_refused() {
    refused_accounts(
        "A,x,EUR,-1.00,open\nB,x,EUR,1.005,open\nC,x,JPY,1.0,open\nD,x,EUR,ten,open\nE,x,EUR,999999999999999999,open\n",
        "a.csv:2: opening_balance \"-1.00\" is negative\n\
         a.csv:3: opening_balance \"1.005\" has more decimals than its currency\n\
         a.csv:4: opening_balance \"1.0\" has more decimals than its currency\n\
         a.csv:5: opening_balance \"ten\" is not a number\n\
         a.csv:6: opening_balance \"999999999999999999\" is too large",
    );
}

#[test]
fn accounts_that_hold_more_together_than_any_account_could_are_refused() {
    let whole = "999999999999999999";
    let many: String = (0..30).map(|n| format!("J{n},x,JPY,{whole},open\nE{n},x,EUR,1.00,open\n")).collect();
    refused_accounts(&many, "a.csv:10: opening balances add up to more than JPY 4611686018427387903");
    let cents = "A,x,EUR,9999999999999999.99,open\n";
    let many: String = (0..5).map(|n| cents.replace('A', &n.to_string())).collect();
    refused_accounts(&many, "a.csv:6: opening balances add up to more than EUR 46116860184273879.03");
}

#[test]
fn accounts_that_hold_together_exactly_what_fits_are_accepted() {
    let text = "account,owner,currency,opening_balance,status\nA,x,JPY,999999999999999999,open\n\
                B,x,JPY,999999999999999999,open\nC,x,JPY,999999999999999999,open\nD,x,JPY,999999999999999999,open\n\
                E,x,JPY,611686018427387907,closed\nF,x,JPY,0,open\n";
    assert_eq!(parse_accounts(Path::new("a.csv"), text.as_bytes()).unwrap().len(), 6);
}

#[test]
fn accounts_that_are_ambiguous_are_refused() {
    refused_accounts(
        "A,x,EUR,1,open\n\"\",x,EUR,1,open\nA,y,EUR,1,closed\nB,x,EUR,1,Open\nC,x,QQQ,1,open\nD,x,EUR,1\n",
        "a.csv:3: account is empty\na.csv:4: account \"A\" was already on line 2\n\
         a.csv:5: status \"Open\" is neither `open` nor `closed`\na.csv:6: currency \"QQQ\" is unknown\n\
         a.csv:7: 4 fields instead of 5",
    );
}

#[test]
fn a_file_without_accounts_or_of_something_else_is_refused() {
    refused_accounts("", "a.csv: no accounts");
    let refusal = parse_accounts(Path::new("a.csv"), HEADER.as_bytes()).unwrap_err().to_string();
    assert_eq!(refusal, "a.csv:1: the header is not `account,owner,currency,opening_balance,status`");
}
