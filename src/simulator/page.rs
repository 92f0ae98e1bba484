//! Lists, a page at a time.

use serde::Serialize;
use serde_json::Value;

use super::{failure::Failure, parameters::Parameters};

/// Which part of a list is wanted, and how to ask for the parts beside it.
pub struct Page {
    path: &'static str,
    /// Everything else that was asked, to be asked again.
    filters: Vec<(&'static str, String)>,
    limit: usize,
    start: usize,
}

/// A list as the API shows it.
#[derive(Serialize)]
pub struct List {
    data: Vec<Value>,
    next_page_url: Option<String>,
    previous_page_url: Option<String>,
}

impl Page {
    /// # Errors
    /// 400 for a limit or a token that was never given out.
    pub fn read(path: &'static str, parameters: &mut Parameters) -> Result<Self, Failure> {
        let limit = match parameters.number("limit")?.map(usize::try_from) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=LARGEST_LIMIT).contains(&limit) => limit,
            Some(_) => return Err(parameters.wrong("limit", "not from 1 to 100")),
        };
        let start = match parameters.text("page")? {
            None => 0,
            Some(token) => token
                .strip_prefix(TOKEN)
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| parameters.wrong("page", "not a token of ours"))?,
        };
        Ok(Self { path, filters: Vec::new(), limit, start })
    }

    /// Remembers another part of the question.
    pub fn filter(&mut self, name: &'static str, value: Option<&str>) {
        self.filters.extend(value.map(|value| (name, value.to_owned())));
    }

    pub fn cut(&self, items: impl ExactSizeIterator<Item = Value>) -> List {
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

/// Small enough that the catalog has more than one page.
const DEFAULT_LIMIT: usize = 10;

const LARGEST_LIMIT: usize = 100;

/// How page tokens begin.
const TOKEN: &str = "pt_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_its_neighbours() {
        let mut page = Page { path: "/l", filters: Vec::new(), limit: 2, start: 2 };
        page.filter("name", Some("a b"));
        page.filter("other", None);
        let list = page.cut((0..5).map(Value::from));
        assert_eq!(list.data, [2, 3]);
        assert_eq!(list.next_page_url.unwrap(), "/l?limit=2&name=a%20b&page=pt_4");
        assert_eq!(list.previous_page_url.unwrap(), "/l?limit=2&name=a%20b&page=pt_0");
    }

    #[test]
    fn the_last_page_is_the_last() {
        let page = Page { path: "/l", filters: Vec::new(), limit: 5, start: 0 };
        let list = page.cut((0..5).map(Value::from));
        assert_eq!((list.next_page_url, list.previous_page_url), (None, None));
        let page = Page { path: "/l", filters: Vec::new(), limit: 5, start: usize::MAX };
        assert!(page.cut((0..5).map(Value::from)).data.is_empty());
    }
}
