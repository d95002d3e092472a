//! A pull reader for XML that carries money: stricter than `quick-xml`, and shaped for recursive descent.
//!
//! ```text
//!   while let Some(element) = document.child()? {      children of the element opened last, None at its end
//!       match element.name() {
//!           "MsgId" => document.text()?,               to its end: characters only
//!           _ => document.skip()?,                     to its end: anything well-formed
//!       }
//!   }
//! ```
//!
//! No DOCTYPE, no entities but the five of XML, no other encoding, bounded depth. The namespace of the root is the
//! document's; elements of other namespaces are skipped. Comments and processing instructions are never seen.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::problem::{Problem, quoted};
use super::source::is_forbidden;

/// Open elements at a time; `pain.001` needs about ten, supplementary data a few more.
const MAX_DEPTH: usize = 64;

/// Attributes of one element, namespaces included; checking them for duplicates is quadratic.
const MAX_ATTRIBUTES: usize = 32;

/// The document being read. After an error it is not to be read further.
pub(super) struct Document<'a> {
    reader: NsReader<&'a [u8]>,
    lines: Lines,
    namespace: Option<String>,
    open: Vec<Opened>,
}

/// An element whose end has not been seen.
struct Opened {
    name: String,
    line: u64,
}

/// A start tag just read.
pub(super) struct Element<'a> {
    /// Line of its `<`.
    pub(super) line: u64,
    start: BytesStart<'a>,
    namespace: Option<String>,
}

impl Element<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// The namespace its prefix, or the lack of one, is bound to.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The value of an attribute without prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes().flatten();
        let found = attributes.find(|attribute| attribute.key.as_ref() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

/// What is left of an event once the markup is dealt with.
enum Step<'a> {
    Open(Element<'a>),
    Text(Cow<'a, str>),
    Data(Cow<'a, str>),
    Close,
    End,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        Self { reader, lines: Lines::of(text), namespace: None, open: Vec::new() }
    }

    /// Opens the root element, whose namespace becomes the document's.
    pub(super) fn root(&mut self) -> Result<Element<'a>, Problem> {
        loop {
            match self.step()? {
                Step::Open(element) => {
                    self.namespace.clone_from(&element.namespace);
                    return Ok(element);
                }
                Step::Text(text) if is_blank(&text) => {}
                Step::End => return Err(self.problem("there is no XML element")),
                _ => return Err(self.problem("text before the root element")),
            }
        }
    }

    /// Opens the next child of the element opened last and not yet ended, or ends that element.
    pub(super) fn child(&mut self) -> Result<Option<Element<'a>>, Problem> {
        loop {
            match self.step()? {
                Step::Open(element) if element.namespace == self.namespace => return Ok(Some(element)),
                Step::Open(_) => self.skip()?,
                Step::Close => return Ok(None),
                Step::Data(_) => {}
                Step::Text(text) if is_blank(&text) => {}
                Step::Text(text) => {
                    return Err(self.problem(format!("text {} between elements", quoted(text.trim()))));
                }
                Step::End => return Err(self.cut()),
            }
        }
    }

    /// The text of the element opened last, trimmed, which ends it.
    pub(super) fn text(&mut self) -> Result<String, Problem> {
        let mut whole = String::new();
        loop {
            match self.step()? {
                Step::Text(part) | Step::Data(part) => whole.push_str(&part),
                Step::Close => return Ok(whole.trim().to_owned()),
                Step::Open(element) => {
                    return Err(Problem::at(element.line, format!("element {} where only text belongs", quoted(element.name()))));
                }
                Step::End => return Err(self.cut()),
            }
        }
    }

    /// Ends the element opened last, whatever it holds.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        let outside = self.open.len().saturating_sub(1);
        while self.open.len() > outside {
            if let Step::End = self.step()? {
                return Err(self.cut());
            }
        }
        Ok(())
    }

    /// Reads what follows the root: nothing but comments and space.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        loop {
            match self.step()? {
                Step::End => return Ok(()),
                Step::Text(text) if is_blank(&text) => {}
                _ => return Err(self.problem("something follows the root element")),
            }
        }
    }

    fn step(&mut self) -> Result<Step<'a>, Problem> {
        loop {
            let at = self.reader.buffer_position();
            let event = self.reader.read_event().map_err(|error| self.malformed(&error))?;
            return Ok(match event {
                Event::Start(start) => Step::Open(self.opened(start, at)?),
                Event::End(_) => {
                    self.open.pop();
                    Step::Close
                }
                Event::Text(text) => Step::Text(text.xml10_content()),
                Event::CData(data) => Step::Data(data.xml10_content()),
                Event::GeneralRef(reference) => Step::Text(self.resolved(&reference)?),
                Event::Eof => Step::End,
                Event::DocType(_) => return Err(self.at(at, "a DOCTYPE is not accepted")),
                Event::Decl(declaration) => {
                    self.declared(&declaration, at)?;
                    continue;
                }
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => continue,
            });
        }
    }

    fn opened(&mut self, start: BytesStart<'a>, at: u64) -> Result<Element<'a>, Problem> {
        let name = start.local_name().into_inner().to_owned();
        let line = self.lines.at(at);
        if !name.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            return Err(Problem::at(line, format!("an element cannot be called {}", quoted(&name))));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Problem::at(line, format!("elements are nested deeper than {MAX_DEPTH}")));
        }
        check_attributes(&start).map_err(|reason| Problem::at(line, format!("element {}: {reason}", quoted(&name))))?;
        let namespace = match self.reader.resolver().resolve_element(start.name()).0 {
            ResolveResult::Bound(namespace) => Some(namespace.as_ref().to_owned()),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => {
                return Err(Problem::at(line, format!("prefix {} has no namespace", quoted(&prefix))));
            }
        };
        self.open.push(Opened { name, line });
        Ok(Element { line, start, namespace })
    }

    fn declared(&self, declaration: &BytesDecl<'_>, at: u64) -> Result<(), Problem> {
        if at != 0 {
            return Err(self.at(at, "an XML declaration inside the document"));
        }
        let version = declaration.version().map_err(|error| self.malformed(&error))?;
        if version != "1.0" {
            return Err(self.at(at, format!("XML version {} instead of 1.0", quoted(&version))));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("UTF-8") => Ok(()),
            Some(Ok(encoding)) => Err(self.at(at, format!("encoding {} instead of UTF-8", quoted(&encoding)))),
            Some(Err(error)) => Err(self.at(at, format!("the XML declaration: {error}"))),
        }
    }

    fn resolved(&self, reference: &BytesRef<'_>) -> Result<Cow<'a, str>, Problem> {
        if let Some(text) = resolve_predefined_entity(reference) {
            return Ok(Cow::Borrowed(text));
        }
        match reference.resolve_char_ref() {
            Ok(Some(symbol)) if !is_forbidden(symbol) => Ok(Cow::Owned(symbol.into())),
            _ => Err(self.problem(format!("the reference {} is not accepted", quoted(&format!("&{};", &**reference))))),
        }
    }

    fn malformed(&self, error: &quick_xml::Error) -> Problem {
        self.at(self.reader.error_position(), one_line(&error.to_string()))
    }

    fn cut(&self) -> Problem {
        match self.open.last() {
            Some(open) => self.problem(format!("the document ends inside {} of line {}", quoted(&open.name), open.line)),
            None => self.problem("the document ends too early"),
        }
    }

    /// A problem where the reader now is.
    fn problem(&self, reason: impl Into<String>) -> Problem {
        self.at(self.reader.buffer_position(), reason)
    }

    fn at(&self, position: u64, reason: impl Into<String>) -> Problem {
        Problem::at(self.lines.at(position), reason)
    }
}

fn check_attributes(start: &BytesStart<'_>) -> Result<(), String> {
    for (count, attribute) in start.attributes().enumerate() {
        if count == MAX_ATTRIBUTES {
            return Err(format!("more than {MAX_ATTRIBUTES} attributes"));
        }
        let attribute = attribute.map_err(|error| one_line(&error.to_string()))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| one_line(&error.to_string()))?;
        if attribute.value.contains('<') || value.contains(is_forbidden) {
            return Err(format!("attribute {} holds a character it must not", quoted(attribute.key.as_ref())));
        }
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The parser's messages quote the document; a tag name with a line break would end our line.
fn one_line(message: &str) -> String {
    message.chars().take(200).map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect()
}

/// Where lines begin, to turn the parser's byte positions into line numbers.
struct Lines(Vec<u64>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at as u64 + 1).collect())
    }

    /// The 1-based line that holds the byte at `position`.
    fn at(&self, position: u64) -> u64 {
        self.0.partition_point(|start| *start <= position) as u64 + 1
    }
}
