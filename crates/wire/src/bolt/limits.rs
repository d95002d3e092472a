//! How much a frame may weigh, checked from its fixed part, before its body is waited for.

use std::fmt;

/// The most a frame may carry. The peer's word is checked against it before any memory is taken.
///
/// Values above a ceiling are lowered to it by [`Decoder::new`](super::Decoder::new) and [`Encoder::new`](super::Encoder::new).
///
/// ```
/// use settee_wire::bolt::Limits;
/// let limits = Limits { content_bytes: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.header_entries, 128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the class name. Default 512, ceiling 32,767. SOFA's longest is 52.
    pub class_bytes: usize,
    /// Bytes of the header map. Default and ceiling 32,767: the largest length that Java and Node can say.
    pub header_bytes: usize,
    /// Pairs in the header map, dropped ones included. Default 128.
    pub header_entries: usize,
    /// Bytes of the content. Default 4 MiB, ceiling [`Limits::MAX_CONTENT_BYTES`].
    pub content_bytes: usize,
}

impl Limits {
    /// The most that [`Limits::content_bytes`] may be: 64 MiB. What is larger belongs into a stream of frames.
    pub const MAX_CONTENT_BYTES: usize = 64 * 1024 * 1024;

    /// The most that a signed 16-bit length can say.
    const MAX_SHORT: usize = i16::MAX as usize;

    /// The same limits, none above its ceiling.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            class_bytes: self.class_bytes.min(Self::MAX_SHORT),
            header_bytes: self.header_bytes.min(Self::MAX_SHORT),
            header_entries: self.header_entries,
            content_bytes: self.content_bytes.min(Self::MAX_CONTENT_BYTES),
        }
    }

    pub(super) const fn of(&self, part: Part) -> usize {
        match part {
            Part::Class => self.class_bytes,
            Part::Header => self.header_bytes,
            Part::Content => self.content_bytes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { class_bytes: 512, header_bytes: Self::MAX_SHORT, header_entries: 128, content_bytes: 4 * 1024 * 1024 }
    }
}

/// One of the three parts of a frame's body, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The class name.
    Class,
    /// The header map.
    Header,
    /// The content.
    Content,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Class => "class",
            Self::Header => "header",
            Self::Content => "content",
        })
    }
}
