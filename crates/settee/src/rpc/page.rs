//! Long lists, page after page: what a server knows need not fit one frame.
//!
//! A page names its last item, and the next one begins behind that: what comes and goes meanwhile repeats nothing and leaves out
//! nothing that stays. A list of several pages is not of one moment.

use serde::{Deserialize, Serialize};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

use super::Reply;

/// Pages that make one list at most: as many as the longest list has items, so that a server that repeats itself is found out.
const MAX_PAGES: usize = 10_000;

/// A part of a list. Asked for again with `after` set to its `next`, the list goes on.
///
/// ```
/// use settee::rpc::Page;
///
/// let page: Page<u8> = serde_json::from_str(r#"{"items":[1,2]}"#)?;
/// assert_eq!((page.items.len(), page.next), (2, None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T, K = String> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// What the last item is called, if there is more behind it.
    pub next: Option<K>,
}

/// A list that a client puts together again.
pub(crate) struct Whole<T, K = String> {
    pub(crate) items: Vec<T>,
    after: Option<K>,
    pages: usize,
}

impl<T, K: Clone> Whole<T, K> {
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), after: None, pages: 0 }
    }

    /// Behind what the next page begins.
    pub(crate) fn after(&self) -> Option<K> {
        self.after.clone()
    }

    /// Adds a page. Whether there is more.
    pub(crate) fn add(&mut self, page: Page<T, K>) -> Reply<bool> {
        self.pages += 1;
        self.items.extend(page.items);
        self.after = page.next;
        let is_more = self.after.is_some();
        if is_more && self.pages >= MAX_PAGES {
            let text = format!("read a list: after {MAX_PAGES} pages there is still more, so the server repeats itself");
            return Err(Error::new(ErrorKind::Internal, codes::BAD_REPLY, text).into());
        }
        Ok(is_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_whole_after_its_last_page_and_in_order() {
        let mut whole = Whole::new();
        assert_eq!(whole.after(), None);
        assert!(whole.add(Page { items: vec![1, 2], next: Some("b".to_owned()) }).unwrap());
        assert_eq!(whole.after().as_deref(), Some("b"));
        assert!(!whole.add(Page { items: vec![3], next: None }).unwrap());
        assert_eq!(whole.items, [1, 2, 3]);
    }

    #[test]
    fn a_server_that_repeats_itself_does_not_hold_a_client_for_ever() {
        let mut whole = Whole::new();
        let mut pages = (0..=MAX_PAGES).map(|_| whole.add(Page { items: vec![0_u8], next: Some("a".to_owned()) }));
        assert!(pages.any(|added| added.is_err()));
    }
}
