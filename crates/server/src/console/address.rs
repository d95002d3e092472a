//! Addresses of the console: which page a path is, and what stands behind its `?`, read within limits and written for links.
//!
//! Names of topics and jobs need no decoding: they are letters, digits and `.`, `-`, `_`.

/// Bytes of a query at most. The console's own links stay far below; longer ones are not made by people.
const MAX_BYTES: usize = 1_024;

/// Parameters that are read at most.
const MAX_PARAMETERS: usize = 8;

/// A page of the console. Ids are as they were typed: their page says what is wrong with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Overview,
    Instances,
    Transactions,
    Transaction(String),
    Topics,
    Topic(String),
    Jobs,
    Job(String),
    Traces,
    Trace(String),
    Style,
    Missing,
}

impl Route {
    /// The page at `path`.
    pub(super) fn of(path: &str) -> Self {
        if matches!(path, "" | "/" | "/console" | "/console/") {
            return Self::Overview;
        }
        let parts: Vec<_> = path.strip_prefix("/console/").unwrap_or_default().split('/').collect();
        match parts.as_slice() {
            ["instances"] => Self::Instances,
            ["transactions"] => Self::Transactions,
            ["transactions", xid] => Self::Transaction((*xid).to_owned()),
            ["topics"] => Self::Topics,
            ["topics", name] => Self::Topic((*name).to_owned()),
            ["jobs"] => Self::Jobs,
            ["jobs", name] => Self::Job((*name).to_owned()),
            ["traces"] => Self::Traces,
            ["traces", trace] => Self::Trace((*trace).to_owned()),
            ["console.css"] => Self::Style,
            _ => Self::Missing,
        }
    }
}

/// The parameters of a page, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of `text`; of two with one name the first counts.
    ///
    /// # Errors
    /// What is wrong with it: it is longer than anybody writes.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("the part of the address behind the ? is too long");
        }
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned().take(MAX_PARAMETERS);
        Ok(Self(pairs.map(|(name, value)| (name, value.trim().to_owned())).collect()))
    }

    /// The value of `name`; `None` if it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Which page of a list is asked for, counted from 0.
    pub(super) fn page(&self) -> usize {
        self.get("page").and_then(|page| page.parse::<usize>().ok()).map_or(0, |page| page.saturating_sub(1))
    }

    /// The same parameters with one changed.
    pub(super) fn with(&self, name: &str, value: impl ToString) -> Self {
        let mut pairs = self.without(name).0;
        pairs.push((name.to_owned(), value.to_string()));
        Self(pairs)
    }

    /// The same parameters without one.
    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// A link to `path` with these parameters.
    pub(super) fn link(&self, path: &str) -> String {
        if self.0.is_empty() {
            return path.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        format!("{path}?{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_a_page_or_missing_and_nothing_else() {
        for (path, route) in [
            ("/", Route::Overview),
            ("/console", Route::Overview),
            ("/console/instances", Route::Instances),
            ("/console/transactions/7", Route::Transaction("7".into())),
            ("/console/topics/transfers", Route::Topic("transfers".into())),
            ("/console/topics/transfers/dead", Route::Missing),
            ("/console/jobs/reconcile", Route::Job("reconcile".into())),
            ("/console/traces/2a", Route::Trace("2a".into())),
            ("/console/instances/", Route::Missing),
            ("/instances", Route::Missing),
            ("/console/../etc/passwd", Route::Missing),
            ("/favicon.ico", Route::Missing),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn what_a_link_says_is_what_its_page_reads() {
        let query = Query::default().with("reference", "a&b=<c> d%é").with("page", 3);
        let link = query.link("/console/transactions");
        assert_eq!(link, "/console/transactions?reference=a%26b%3D%3Cc%3E+d%25%C3%A9&page=3");
        let read = Query::read(link.split_once('?').unwrap().1).unwrap();
        assert_eq!((read.get("reference"), read.page()), (Some("a&b=<c> d%é"), 2));
    }

    #[test]
    fn no_query_is_too_strange_to_be_read_and_none_too_long_is_read() {
        for text in ["", "&&&", "=", "page=0", "page=-1", "page=99999999999999999999999", "%ff%fe=%zz", "a=1&a=2"] {
            assert_eq!(Query::read(text).unwrap().page(), 0, "{text}");
        }
        assert_eq!(Query::read("a=1&a=2").unwrap().get("a"), Some("1"));
        assert_eq!(Query::read(&"a=1&".repeat(200)).unwrap().0.len(), MAX_PARAMETERS);
        assert!(Query::read(&"a".repeat(MAX_BYTES + 1)).is_err());
    }
}
