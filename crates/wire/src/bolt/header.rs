//! The header map: `i32 length, key, i32 length, value`, repeated to the end, lengths in bytes of UTF-8.
//!
//! Read lazily and borrowed, so a call that needs two keys pays for no map. A pair with a null (length -1) key or value does
//! not exist, as in Java. No order may be assumed, and of equal keys the last one counts.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Bytes of the length in front of each string.
const LENGTH_BYTES: usize = 4;

/// A header map as written, not yet checked.
///
/// ```
/// use settee_wire::bolt::Header;
/// let bytes = b"\0\0\0\x01k\0\0\0\x01a\0\0\0\x01k\0\0\0\x01b";
/// let header = Header::new(bytes, 128);
/// assert_eq!(header.get("k"), Ok(Some("b")));
/// assert_eq!(header.get("absent"), Ok(None));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    bytes: &'a [u8],
    max_entries: usize,
}

impl<'a> Header<'a> {
    /// The map in `bytes`, of at most `max_entries` pairs.
    #[must_use]
    pub const fn new(bytes: &'a [u8], max_entries: usize) -> Self {
        Self { bytes, max_entries }
    }

    /// The pairs in the order written; ends behind the first error.
    #[must_use]
    pub fn iter(&self) -> Pairs<'a> {
        let text = str::from_utf8(self.bytes).ok();
        Pairs { bytes: self.bytes, text, at: 0, entries_left: self.max_entries, max_entries: self.max_entries }
    }

    /// The value of `key`, the last one if there are several. Reads the whole map: for many keys, [`Header::iter`] once.
    ///
    /// # Errors
    /// When the map is malformed anywhere.
    pub fn get(&self, key: &str) -> Result<Option<&'a str>, HeaderError> {
        self.iter().try_fold(None, |found, pair| {
            let (name, value) = pair?;
            Ok(if name == key { Some(value) } else { found })
        })
    }
}

impl<'a> IntoIterator for Header<'a> {
    type Item = Result<(&'a str, &'a str), HeaderError>;
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

/// The pairs of a [`Header`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    bytes: &'a [u8],
    /// All of it as text, where it is: short lengths are ASCII too, and one check of the whole costs less than one of each string.
    text: Option<&'a str>,
    /// Where the next pair begins.
    at: usize,
    entries_left: usize,
    max_entries: usize,
}

impl<'a> Pairs<'a> {
    #[inline]
    fn read(&mut self) -> Result<Option<(&'a str, &'a str)>, HeaderError> {
        while self.at < self.bytes.len() {
            self.entries_left =
                self.entries_left.checked_sub(1).ok_or(HeaderError::TooManyEntries { limit: self.max_entries })?;
            if let (Some(key), Some(value)) = (self.string()?, self.string()?) {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    #[inline]
    fn string(&mut self) -> Result<Option<&'a str>, HeaderError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(HeaderError::Truncated)?;
        let length = i32::from_be_bytes(*length);
        self.at += LENGTH_BYTES;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| HeaderError::NegativeLength { length })?;
        let string = rest.get(..length).ok_or(HeaderError::Truncated)?;
        let (start, end) = (self.at, self.at + length);
        self.at = end;
        match self.text.and_then(|text| text.get(start..end)) {
            Some(text) => Ok(Some(text)),
            None => str::from_utf8(string).map(Some).map_err(|_| HeaderError::NotUtf8),
        }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a str, &'a str), HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.read();
        if pair.is_err() {
            self.at = self.bytes.len();
        }
        pair.transpose()
    }
}

/// Why a header map could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// A pair ends behind the header's end.
    #[error("read header map: a pair is cut off")]
    Truncated,
    /// A length below -1.
    #[error("read header map: length {length} is negative")]
    NegativeLength {
        /// The length read.
        length: i32,
    },
    /// A key or value is not UTF-8.
    #[error("read header map: text is not utf-8")]
    NotUtf8,
    /// More pairs than allowed.
    #[error("read header map: more than {limit} entries")]
    TooManyEntries {
        /// The most allowed.
        limit: usize,
    },
}

/// Bytes that `key` and `value` take.
pub(super) const fn pair_len(key: &str, value: &str) -> usize {
    LENGTH_BYTES + key.len() + LENGTH_BYTES + value.len()
}

/// Appends a pair that [`pair_len`] has shown to fit a header.
pub(super) fn write_pair(out: &mut BytesMut, key: &str, value: &str) {
    for text in [key, value] {
        // A header is at most 32,767 bytes, so its strings fit an i32.
        out.put_i32(i32::try_from(text.len()).unwrap_or(i32::MAX));
        out.put_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(strings: &[(i32, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (length, text) in strings {
            bytes.extend(length.to_be_bytes());
            bytes.extend(*text);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<(&str, &str)>, HeaderError> {
        Header::new(bytes, 2).iter().collect()
    }

    #[test]
    fn pairs_come_as_written_and_nulls_do_not_come() {
        let bytes = map(&[(1, b"a"), (-1, b""), (1, b"b"), (0, b"")]);
        assert_eq!(read(&bytes), Ok(vec![("b", "")]));
        assert_eq!(read(&[]), Ok(vec![]));
    }

    #[test]
    fn a_string_is_text_by_itself_and_never_with_the_help_of_its_neighbours() {
        let long = "ä".repeat(100);
        let bytes = map(&[(2, "ü".as_bytes()), (200, long.as_bytes())]);
        assert_eq!(read(&bytes), Ok(vec![("ü", &*long)]), "a length above 127 is not ASCII");
        // Its length cuts the first key in two: the whole is text, neither string is.
        let cut = [0, 0, 0, 1, 0xc3, 0xbc, 0, 0, 0, 1, b'v'];
        assert!(str::from_utf8(&cut).is_ok());
        assert_eq!(Header::new(&cut, 2).iter().next(), Some(Err(HeaderError::NotUtf8)));
    }

    #[test]
    fn a_malformed_map_is_an_error_and_then_ends() {
        let table = [
            (map(&[(1, b"a")]), HeaderError::Truncated),
            (map(&[(2, b"a")]), HeaderError::Truncated),
            (map(&[(i32::MAX, b"a")]), HeaderError::Truncated),
            (vec![0, 0, 0], HeaderError::Truncated),
            (map(&[(-2, b"")]), HeaderError::NegativeLength { length: -2 }),
            (map(&[(1, b"\xff"), (1, b"v")]), HeaderError::NotUtf8),
            (map(&[(-1, &b""[..]); 6]), HeaderError::TooManyEntries { limit: 2 }),
        ];
        for (bytes, error) in table {
            let mut pairs = Header::new(&bytes, 2).iter();
            assert_eq!(pairs.next(), Some(Err(error)), "{bytes:?}");
            assert_eq!(pairs.next(), None);
        }
    }
}
