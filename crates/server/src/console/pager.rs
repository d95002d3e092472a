//! Lists in pages: the part that is shown, and the links to the others.

use maud::{Markup, html};

use super::Visit;
use super::figure;

/// Lines of a list on one page: two screens.
pub(super) const LINES: usize = 50;

/// One page of a list that is there as a whole.
pub(super) struct Pager<'a, T> {
    pub(super) shown: &'a [T],
    page: usize,
    pages: usize,
    all: usize,
}

impl<'a, T> Pager<'a, T> {
    /// The page that the visitor asks for, or the last.
    pub(super) fn of(all: &'a [T], visit: &Visit) -> Self {
        let pages = all.len().div_ceil(LINES).max(1);
        let page = visit.query.page().min(pages - 1);
        let shown = all.chunks(LINES).nth(page).unwrap_or_default();
        Self { shown, page, pages, all: all.len() }
    }

    /// Where in the list this is, and the way to the rest; nothing where there is no rest.
    pub(super) fn links(&self, visit: &Visit, what: &str) -> Markup {
        let first = self.page * LINES + 1;
        let link = |page: usize| visit.query.with("page", page + 1).link(&visit.path);
        html! {
            @if self.pages > 1 {
                nav.pager aria-label="Pages" {
                    @if self.page > 0 { a rel="prev" href=(link(self.page - 1)) { "← Previous" } }
                    span { (figure::length(first)) "–" (figure::length(first + self.shown.len() - 1)) " of " (figure::length(self.all)) " " (what) }
                    @if self.page + 1 < self.pages { a rel="next" href=(link(self.page + 1)) { "Next →" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use settee_core::Timestamp;

    use super::super::address::Query;
    use super::*;

    fn visit(query: &str) -> Visit {
        Visit { path: "/jobs".into(), query: Query::read(query).unwrap(), now: Timestamp::EPOCH }
    }

    #[test]
    fn no_page_is_longer_than_its_bound_and_no_line_is_lost_between_two() {
        let all: Vec<_> = (0..LINES * 2 + 1).collect();
        let pages = ["", "page=2", "page=3", "page=400"].map(|query| Pager::of(&all, &visit(query)).shown.to_vec());
        assert_eq!(pages[..3].concat(), all);
        assert_eq!(pages[3], pages[2], "behind the end is the end");
        assert!(pages.iter().all(|page| page.len() <= LINES));
    }

    #[test]
    fn the_links_keep_what_else_was_asked_for() {
        let all: Vec<_> = (0..LINES * 3).collect();
        let asked = visit("show=failed&page=2");
        let links = Pager::of(&all, &asked).links(&asked, "jobs").into_string();
        assert!(links.contains("51–100 of 150 jobs"), "{links}");
        for link in ["/jobs?show=failed&amp;page=1", "/jobs?show=failed&amp;page=3"] {
            assert!(links.contains(link), "{links}");
        }
        let none: [u8; 0] = [];
        assert_eq!(Pager::of(&none, &asked).links(&asked, "jobs").into_string(), "");
    }
}
