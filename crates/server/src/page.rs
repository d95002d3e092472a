//! Filling one page of a list: bounded by its items and by its bytes, so that it fits a frame whatever is listed.

use serde::Serialize;
use settee::expand;
use settee::rpc::{Encoding, Page};

/// Items of one page at most: each is looked at, and others wait meanwhile.
const MAX_ITEMS: usize = 1_000;

/// Bytes of one page at most, unless its only item is larger: a quarter of a frame, as JSON is longer than what is counted.
const MAX_BYTES: usize = 1 << 20;

/// A page that is being filled.
pub(crate) struct PageFilling<T, K = String> {
    items: Vec<T>,
    last: Option<K>,
    next: Option<K>,
    bytes: usize,
    limit: usize,
}

impl<T: Serialize, K> PageFilling<T, K> {
    /// An empty page of as many items as a page may have.
    pub(crate) fn new() -> Self {
        Self::up_to(MAX_ITEMS)
    }

    /// An empty page of `limit` items, at least one and no more than a page may have.
    pub(crate) fn up_to(limit: usize) -> Self {
        Self { items: Vec::new(), last: None, next: None, bytes: 0, limit: limit.clamp(1, MAX_ITEMS) }
    }

    /// Takes the next item of the list, called `name`. `false`: the page is full without it, and nothing more need be offered.
    pub(crate) fn takes(&mut self, name: K, item: T) -> bool {
        // What cannot be written fails the answer, and says so there.
        let bytes = expand::encode(Encoding::MessagePack, &item).map_or(0, |written| written.len());
        let is_full = self.items.len() >= self.limit || (!self.items.is_empty() && self.bytes + bytes > MAX_BYTES);
        if is_full {
            self.next = self.last.take();
            return false;
        }
        self.bytes += bytes;
        self.items.push(item);
        self.last = Some(name);
        true
    }

    /// The page.
    pub(crate) fn page(self) -> Page<T, K> {
        Page { items: self.items, next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a frame's content, by default.
    const FRAME: usize = 4 << 20;

    /// The pages of a list, as a client asks for them: what they hold, and how many items each has.
    fn pages_of(list: &[(u32, String)], limit: usize) -> (Vec<String>, Vec<usize>) {
        let (mut items, mut sizes, mut after) = (Vec::new(), Vec::new(), None::<u32>);
        loop {
            let mut filling = PageFilling::up_to(limit);
            let mut rest = list.iter().filter(|(name, _)| after.is_none_or(|after| *name > after));
            while rest.next().is_some_and(|(name, item)| filling.takes(*name, item.clone())) {}
            let page = filling.page();
            let written = expand::encode(Encoding::Json, &page).unwrap();
            assert!(written.len() < FRAME, "{} bytes", written.len());
            sizes.push(page.items.len());
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return (items, sizes);
            }
        }
    }

    fn list(count: u32, bytes: usize) -> Vec<(u32, String)> {
        (0..count).map(|number| (number, format!("{number}{}", "x".repeat(bytes)))).collect()
    }

    #[test]
    fn a_list_of_any_length_and_size_comes_whole_and_each_of_its_pages_fits_a_frame() {
        let half = MAX_BYTES / 2 + 1;
        for (list, limit, sizes) in [
            (list(0, 1), 10, vec![0]),
            (list(10, 1), 10, vec![10]),
            (list(11, 1), 10, vec![10, 1]),
            (list(2_500, 1), usize::MAX, vec![1_000, 1_000, 500]),
            (list(3, half), 10, vec![1, 1, 1]),
            (list(2, 2 * MAX_BYTES), 10, vec![1, 1]),
            (list(2, 1), 0, vec![1, 1]),
        ] {
            let (items, found) = pages_of(&list, limit);
            assert_eq!(found, sizes);
            assert!(items.iter().eq(list.iter().map(|(_, item)| item)), "each once, in order");
        }
    }
}
