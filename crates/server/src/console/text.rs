//! Text that others wrote: masked, cut, and never taken for markup.

use std::borrow::Cow;

use maud::{Markup, html};
use settee_core::mask;

/// Characters of a foreign text on a page; more are in its title.
const SHOWN: usize = 120;

/// Characters of a foreign text in a title.
const IN_TITLE: usize = 1_000;

/// Characters at each end of a long identity.
const OF_IDENTITY: usize = 8;

/// A text, cut where a page would not hold it.
pub(super) fn shown(text: &str) -> Markup {
    let masked = mask::accounts_in(text);
    let short = cut(&masked, SHOWN);
    html! {
        @if short.len() == masked.len() { (masked) } @else { span title=(cut(&masked, IN_TITLE)) { (short) } }
    }
}

/// The same where there may be none.
pub(super) fn maybe(text: Option<&str>) -> Markup {
    html! { @match text { Some(text) => (shown(text)), None => span.none { "–" } } }
}

/// The same for places that take no markup, such as titles.
pub(super) fn plain(text: &str) -> String {
    cut(&mask::accounts_in(text), SHOWN).into_owned()
}

/// An identity of many digits by its ends; the whole is its title.
pub(super) fn identity(id: &str) -> Markup {
    let whole: Vec<_> = id.chars().collect();
    if whole.len() <= 2 * OF_IDENTITY + 1 {
        return html! { code { (id) } };
    }
    let ends = |part: &[char]| part.iter().collect::<String>();
    let (first, last) = (ends(&whole[..OF_IDENTITY]), ends(&whole[whole.len() - OF_IDENTITY..]));
    html! { code title=(id) { (first) "…" (last) } }
}

fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_masked_and_cut() {
        assert_eq!(shown("<b>&\"").into_string(), "&lt;b&gt;&amp;&quot;");
        assert_eq!(shown("of DE68700901004224967103").into_string(), "of DE68…7103");
        let long = shown(&"é".repeat(SHOWN + 1)).into_string();
        assert!(long.contains(&format!(">{}…</span>", "é".repeat(SHOWN))), "{long}");
    }

    #[test]
    fn an_account_number_at_the_cut_is_masked_before_it_is_cut() {
        let text = format!("{} DE68700901004224967103", "x".repeat(SHOWN - 10));
        assert!(!shown(&text).into_string().contains("6870090"));
    }
}
