//! A checksum over redb's header, in the same sector.
//!
//! ```text
//!   0 redb's header: magic, flags, geometry, two commit slots
//! 320 zeroes
//! 504 "STKV"
//! 508 crc32c of all bytes before it
//! ```
//! redb checks each commit slot by itself, but not the bit that says which of them is the last commit. Turned by rot, the file looks
//! like one that a crash left between the two syncs of a commit, and redb goes back by a commit that was acknowledged. The checksum
//! tells the two apart only because it reaches the disk together with what it covers: both lie in one sector, which a device writes
//! whole or not at all. A device that tears sectors makes an unsealed header of it, which is reported and never served.
//!
//! Left out: the rest of the first page, which nobody reads.

/// Bytes of redb's header. It is always written and read as a whole, at the beginning of the file.
pub(super) const HEADER: usize = 320;

/// What is written instead: the smallest unit in which a device tears a write.
pub(super) const SECTOR: usize = 512;

/// Where the checksum lies, and where its mark.
const CHECKSUM: usize = SECTOR - 4;
const MARK: usize = CHECKSUM - MAGIC.len();
const MAGIC: &[u8; 4] = b"STKV";

/// The sector to write for `header`.
pub(super) fn seal(header: &[u8; HEADER]) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0, header);
    put(&mut sector, MARK, MAGIC);
    let checksum = checksum(&sector);
    put(&mut sector, CHECKSUM, &checksum);
    sector
}

/// Whether `sector` is one that [`seal`] made, or one of a file that was made before there were seals.
pub(super) fn is_whole(sector: &[u8; SECTOR]) -> bool {
    let is_unsealed = sector.get(HEADER..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
    is_unsealed || sector.ends_with(&checksum(sector))
}

fn checksum(sector: &[u8; SECTOR]) -> [u8; 4] {
    crc32c::crc32c(sector.get(..CHECKSUM).unwrap_or_default()).to_le_bytes()
}

fn put(sector: &mut [u8; SECTOR], at: usize, bytes: &[u8]) {
    if let Some(target) = sector.get_mut(at..at + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turned_bit_of_a_sealed_header_is_noticed() {
        let sector = seal(&std::array::from_fn(|index| (index % 251) as u8));
        assert!(is_whole(&sector));
        for bit in 0..SECTOR * 8 {
            let mut turned = sector;
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole(&turned), "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_before_there_were_seals_is_taken_as_it_is() {
        let mut sector = [0; SECTOR];
        sector[..HEADER].fill(7);
        assert!(is_whole(&sector));
        sector[HEADER] = 1;
        assert!(!is_whole(&sector));
    }
}
