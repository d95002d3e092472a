//! The dialects of Bolt: v1, and v2 with its sub-version and switch bytes.

/// The dialect of a frame. settee clients speak [`Version::V1`]; an answer repeats its request's.
///
/// ```
/// use settee_wire::bolt::{SubVersion, Switch, Version};
/// assert!(Version::V2_CHECKED.has_checksum());
/// let java = Version::V2 { sub_version: SubVersion::One, switch: Switch::CHECKSUM };
/// assert!(!java.has_checksum()); // sub-version one never carries a checksum, whatever its switch says
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Protocol byte 1: what Java, Node and Python speak by default. No checksum.
    V1,
    /// Protocol byte 2.
    V2 {
        /// The second byte.
        sub_version: SubVersion,
        /// The switch byte, all bits kept.
        switch: Switch,
    },
}

impl Version {
    /// v2 with a CRC-32 behind each frame.
    pub const V2_CHECKED: Self = Self::V2 { sub_version: SubVersion::Two, switch: Switch::CHECKSUM };

    /// Whether a CRC-32 ends the frame.
    #[must_use]
    pub const fn has_checksum(self) -> bool {
        match self {
            Self::V1 | Self::V2 { sub_version: SubVersion::One, .. } => false,
            Self::V2 { sub_version: SubVersion::Two, switch } => switch.0 & Switch::CHECKSUM.0 != 0,
        }
    }
}

/// The sub-version of v2; others are refused, for nobody can know their layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubVersion {
    /// Never a checksum.
    One,
    /// A checksum if the switch says so.
    Two,
}

impl SubVersion {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The sub-version with this number, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

/// The switch byte of v2. Set [`Switch::CHECKSUM`] only with [`SubVersion::Two`]: at sub-version one Node waits for a checksum that
/// Java does not send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switch(pub u8);

impl Switch {
    /// Bit 0: a CRC-32 ends the frame.
    pub const CHECKSUM: Self = Self(1);
}
