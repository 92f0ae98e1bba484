//! Paginated lists.

use serde::Serialize;
use serde_json::Value;

use super::{failure::Failure, parameters::Parameters};

/// A requested page of a list, and the URLs of its neighbours.
pub struct Page {
    path: &'static str,
    /// Other query parameters, repeated in the URLs.
    filters: Vec<(&'static str, String)>,
    limit: usize,
    start: usize,
}

/// A list response.
#[derive(Serialize)]
pub struct List {
    data: Vec<Value>,
    next_page_url: Option<String>,
    previous_page_url: Option<String>,
}

impl Page {
    /// Parses the page parameters.
    ///
    /// # Errors
    /// 400 for an invalid limit or page token.
    pub fn parse(path: &'static str, parameters: &mut Parameters) -> Result<Self, Failure> {
        let limit = match parameters.number("limit")?.map(usize::try_from) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => return Err(parameters.invalid("limit", "not from 1 to 100")),
        };
        let start = match parameters.text("page")? {
            None => 0,
            Some(token) => token
                .strip_prefix(TOKEN)
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| parameters.invalid("page", "not a page token"))?,
        };
        Ok(Self { path, filters: Vec::new(), limit, start })
    }

    /// Adds a query parameter to the URLs of the neighbouring pages.
    pub fn filter(&mut self, name: &'static str, value: Option<&str>) {
        self.filters.extend(value.map(|value| (name, value.to_owned())));
    }

    /// Returns the page of `items` with the URLs of its neighbours.
    pub fn slice(&self, items: impl ExactSizeIterator<Item = Value>) -> List {
        let (total, end) = (items.len(), self.start.saturating_add(self.limit));
        List {
            data: items.skip(self.start).take(self.limit).collect(),
            next_page_url: (end < total).then(|| self.url(end)),
            previous_page_url: (self.start > 0).then(|| self.url(self.start.saturating_sub(self.limit))),
        }
    }

    fn url(&self, start: usize) -> String {
        let mut url = format!("{}?limit={}", self.path, self.limit);
        for (name, value) in &self.filters {
            url.extend(["&", name, "=", &escaped(value)]);
        }
        format!("{url}&page={TOKEN}{start}")
    }
}

fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

/// Smaller than the catalog, so that it has several pages.
const DEFAULT_LIMIT: usize = 10;

const MAX_LIMIT: usize = 100;

/// The prefix of page tokens.
const TOKEN: &str = "pt_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_links_previous_and_next_page() {
        let mut page = Page { path: "/l", filters: Vec::new(), limit: 2, start: 2 };
        page.filter("name", Some("a b"));
        page.filter("other", None);
        let list = page.slice((0..5).map(Value::from));
        assert_eq!(list.data, [2, 3]);
        assert_eq!(list.next_page_url.unwrap(), "/l?limit=2&name=a%20b&page=pt_4");
        assert_eq!(list.previous_page_url.unwrap(), "/l?limit=2&name=a%20b&page=pt_0");
    }

    #[test]
    fn slice_of_last_page_has_no_next_page() {
        let page = Page { path: "/l", filters: Vec::new(), limit: 5, start: 0 };
        let list = page.slice((0..5).map(Value::from));
        assert_eq!((list.next_page_url, list.previous_page_url), (None, None));
        let page = Page { path: "/l", filters: Vec::new(), limit: 5, start: usize::MAX };
        assert!(page.slice((0..5).map(Value::from)).data.is_empty());
    }
}
