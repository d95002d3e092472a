//! The bytes of one file, in pages that exist only where something other than zeroes was written.
//!
//! Embedded engines prepare files of many megabytes of zeroes, and a power cut resets the page cache to the durable image. So
//! pages of zeroes take no memory, and a copy shares its pages with the original until one of the two changes them.

use std::ops::Range;
use std::sync::Arc;

/// Bytes of a page: what a small write copies at most.
const PAGE: usize = 4_096;

/// The contents of a file. A clone costs a pointer a page.
#[derive(Clone, Default)]
pub(super) struct Image {
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
    length: usize,
}

/// The part of a range of bytes that lies in one page.
struct Piece {
    page: usize,
    in_page: Range<usize>,
    /// Counted from the beginning of the whole range.
    in_range: Range<usize>,
}

fn pieces(position: usize, length: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let from = (position + done) % PAGE;
        let count = (PAGE - from).min(length - done);
        let piece = Piece { page: (position + done) / PAGE, in_page: from..from + count, in_range: done..done + count };
        done += count;
        (count > 0).then_some(piece)
    })
}

impl Image {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Fills `bytes` from `position`; `false` when the file ends before.
    pub(super) fn read(&self, position: usize, bytes: &mut [u8]) -> bool {
        if position.checked_add(bytes.len()).is_none_or(|end| end > self.length) {
            return false;
        }
        for Piece { page, in_page, in_range } in pieces(position, bytes.len()) {
            let Some(into) = bytes.get_mut(in_range) else { continue };
            match self.pages.get(page).and_then(Option::as_ref).and_then(|page| page.get(in_page)) {
                Some(stored) => into.copy_from_slice(stored),
                None => into.fill(0),
            }
        }
        true
    }

    /// Writes `bytes` at `position`, growing the file as needed.
    pub(super) fn put(&mut self, position: usize, bytes: &[u8]) {
        self.resize(self.length.max(position.saturating_add(bytes.len())));
        for Piece { page, in_page, in_range } in pieces(position, bytes.len()) {
            let (Some(slot), Some(new)) = (self.pages.get_mut(page), bytes.get(in_range)) else { continue };
            if slot.is_none() && new.iter().all(|byte| *byte == 0) {
                continue;
            }
            let page = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE])));
            if let Some(stored) = page.get_mut(in_page) {
                stored.copy_from_slice(new);
            }
        }
    }

    /// Cuts the file, or lets it grow by zeroes.
    pub(super) fn resize(&mut self, length: usize) {
        self.pages.resize(length.div_ceil(PAGE), None);
        // What is cut off must be gone when the file grows again.
        if let (true, Some(Some(last))) = (length < self.length, self.pages.last_mut()) {
            Arc::make_mut(last).iter_mut().skip((length - 1) % PAGE + 1).for_each(|byte| *byte = 0);
        }
        self.length = length;
    }

    /// Turns the bits of `mask` in the byte at `position`; `false` if the file has no such byte.
    pub(super) fn flip(&mut self, position: usize, mask: u8) -> bool {
        let mut byte = [0];
        let is_there = self.read(position, &mut byte);
        if is_there {
            self.put(position, &byte.map(|byte| byte ^ mask));
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize, Vec<u8>),
        Resize(usize),
        Flip(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = 0..3 * PAGE;
        let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..9), (0..2 * PAGE).prop_map(|count| vec![0; count])];
        prop_oneof![
            (place.clone(), bytes).prop_map(|(position, bytes)| Step::Put(position, bytes)),
            place.clone().prop_map(Step::Resize),
            (place, any::<u8>()).prop_map(|(position, mask)| Step::Flip(position, mask)),
        ]
    }

    /// The same step on plain bytes.
    fn on_bytes(bytes: &mut Vec<u8>, step: &Step) {
        match step {
            Step::Put(position, new) => {
                bytes.resize(bytes.len().max(position + new.len()), 0);
                bytes[*position..position + new.len()].copy_from_slice(new);
            }
            Step::Resize(length) => bytes.resize(*length, 0),
            Step::Flip(position, mask) => bytes.iter_mut().skip(*position).take(1).for_each(|byte| *byte ^= mask),
        }
    }

    fn on_image(image: &mut Image, step: &Step) {
        match step {
            Step::Put(position, bytes) => image.put(*position, bytes),
            Step::Resize(length) => image.resize(*length),
            Step::Flip(position, mask) => {
                image.flip(*position, *mask);
            }
        }
    }

    fn content(image: &Image) -> Vec<u8> {
        let mut bytes = vec![1; image.len()];
        assert!(image.read(0, &mut bytes));
        bytes
    }

    proptest! {
        #[test]
        fn an_image_holds_what_plain_bytes_would_hold_and_a_copy_stays_as_it_was(
            before in prop::collection::vec(step(), 0..6), after in prop::collection::vec(step(), 0..6),
        ) {
            let (mut image, mut bytes) = (Image::default(), Vec::new());
            for step in &before {
                on_image(&mut image, step);
                on_bytes(&mut bytes, step);
            }
            let (copy, expected) = (image.clone(), bytes.clone());
            for step in &after {
                on_image(&mut image, step);
                on_bytes(&mut bytes, step);
            }
            prop_assert_eq!(content(&image), bytes);
            prop_assert_eq!(content(&copy), expected);
        }
    }

    #[test]
    fn zeroes_take_no_memory_and_nothing_is_read_behind_the_end() {
        let mut image = Image::default();
        image.put(0, &vec![0; 10 * PAGE]);
        assert_eq!(image.pages.iter().flatten().count(), 0);
        assert!(!image.read(10 * PAGE, &mut [0]) && !image.flip(10 * PAGE, 1) && !image.read(usize::MAX, &mut [0]));
    }
}
