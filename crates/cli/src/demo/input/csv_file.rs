//! RFC 4180, taken strictly, on top of the `csv` crate.
//!
//! The crate unescapes fields but forgives what a payment file should not contain: a quote never closed, a quote
//! inside a bare field, text after a closing quote, empty lines. [`Layout`] looks for those first, and notes the
//! line on which each record begins, since a quoted field may span several.
//!
//! ```text
//!   bare --"--> error            start --"--> quoted --"--> closed --"--> quoted
//!   start, bare, closed --','--> start   --newline--> next record       closed --x--> error
//! ```

use super::problem::{Findings, Problem, quoted};
use super::source::Source;

/// A record with as many fields as the header.
pub(super) struct Record {
    /// Line on which it begins.
    pub(super) line: u64,
    fields: csv::StringRecord,
}

impl Record {
    /// The field of a column; empty if there is no such column.
    pub(super) fn field(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }
}

/// Hands every record after the header to `each`, in order, and adds what is wrong with the others to `findings`.
pub(super) fn read(source: &Source<'_>, header: &[&str], findings: &mut Findings, mut each: impl FnMut(Record, &mut Findings)) {
    let lines = Layout::of(source.text, findings);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source.text.as_bytes());
    let mut records = lines.into_iter().zip(reader.records());
    match records.next() {
        Some((_, Ok(found))) if found.iter().eq(header.iter().copied()) => {}
        _ => return findings.add(Problem::at(1, format!("the header is not `{}`", header.join(",")))),
    }
    for (line, record) in records {
        match record {
            Ok(fields) if fields.len() == header.len() => each(Record { line, fields }, findings),
            Ok(fields) => findings.add(wrong_count(line, fields.len(), header.len())),
            Err(error) => findings.add(Problem::at(line, quoted(&error.to_string()))),
        }
    }
}

fn wrong_count(line: u64, found: usize, expected: usize) -> Problem {
    let plural = if found == 1 { "" } else { "s" };
    Problem::at(line, format!("{found} field{plural} instead of {expected}"))
}

/// Where the scan is within a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first character of a field.
    Start,
    /// In a field without quotes.
    Bare,
    /// Inside quotes that were opened on this line.
    Quoted(u64),
    /// After a quote that ends the field, unless a second one follows.
    Closed(u64),
}

/// The scan over a whole file.
struct Layout {
    place: Place,
    line: u64,
    records: Vec<u64>,
    in_record: bool,
}

impl Layout {
    /// The first line of each record up to the first quote that is out of place, after which nothing is certain.
    fn of(text: &str, findings: &mut Findings) -> Vec<u64> {
        let mut layout = Self { place: Place::Start, line: 1, records: Vec::new(), in_record: false };
        if let Err(problem) = layout.scan(text, findings) {
            findings.add(problem);
            if layout.in_record {
                layout.records.pop();
            }
        }
        layout.records
    }

    fn scan(&mut self, text: &str, findings: &mut Findings) -> Result<(), Problem> {
        let mut rest = text.as_bytes().iter().copied().peekable();
        while let Some(byte) = rest.next() {
            // Inside quotes a line break is text; outside, CR counts only as the first half of CR LF.
            let quoted = matches!(self.place, Place::Quoted(_));
            match byte {
                b'\r' if !quoted && rest.peek() == Some(&b'\n') => {}
                b'\r' if !quoted => return Err(self.problem("a carriage return without a line feed")),
                b'\n' if !quoted => self.end_record(findings),
                _ => self.step(byte)?,
            }
            self.line += u64::from(byte == b'\n');
        }
        match self.place {
            Place::Quoted(opened) => Err(Problem::at(opened, "a quote is not closed")),
            _ => Ok(()),
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), Problem> {
        if !self.in_record {
            self.records.push(self.line);
            self.in_record = true;
        }
        self.place = match (self.place, byte) {
            (Place::Start, b'"') => Place::Quoted(self.line),
            (Place::Quoted(opened), b'"') => Place::Closed(opened),
            (Place::Closed(opened), b'"') | (Place::Quoted(opened), _) => Place::Quoted(opened),
            (_, b',') => Place::Start,
            (Place::Bare, b'"') => return Err(self.problem("a quote inside a field without quotes")),
            (Place::Closed(_), _) => return Err(self.problem("text after a closing quote")),
            (Place::Start | Place::Bare, _) => Place::Bare,
        };
        Ok(())
    }

    fn end_record(&mut self, findings: &mut Findings) {
        if !self.in_record {
            findings.add(self.problem("an empty line"));
        }
        self.in_record = false;
        self.place = Place::Start;
    }

    fn problem(&self, reason: &str) -> Problem {
        Problem::at(self.line, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts of up to seven characters that matter to the format.
    fn texts() -> impl Iterator<Item = String> {
        let text = |length: u32, number: usize| {
            (0..length).map(|place| [b'a', b'"', b',', b'\n'][number >> (2 * place) & 3] as char).collect()
        };
        (0..=7).flat_map(move |length| (0..4_usize.pow(length)).map(move |number| text(length, number)))
    }

    #[test]
    fn the_scan_and_the_crate_agree_on_where_records_begin() {
        let mut agreed = 0;
        for text in texts() {
            let mut findings = Findings::default();
            let lines = Layout::of(&text, &mut findings);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let records = reader.records().map(|record| record.unwrap().position().map(csv::Position::line));
            if findings.is_empty() {
                assert_eq!(lines, records.flatten().collect::<Vec<_>>(), "{text:?}");
                agreed += 1;
            }
        }
        assert!(agreed > 1_000, "{agreed}");
    }
}
