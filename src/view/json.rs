//! JSON without characters that cannot be seen.

use domain::visible::is_visible;

/// Writes each character that cannot be seen as an escape of JSON. The data stays the same.
pub fn visible_json(json: String) -> String {
    let is_plain = |c: char| (c.is_ascii() && c != '\u{7f}') || is_visible(c);
    if json.chars().all(is_plain) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_plain(c) {
            escaped.push(c);
        } else {
            // Such a character is inside a string, because JSON has only ASCII outside.
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn data_is_the_same_without_invisible_characters() {
        let data = json!({ "file\u{200b}": ["a\u{202e}b\u{e0041}\u{7f}\u{1b}\n", "Grüße \u{1f600}"], "n": 1.5 });
        let text = visible_json(serde_json::to_string_pretty(&data).unwrap());
        assert!(text.chars().all(|c| c == '\n' || is_visible(c)), "{text:?}");
        assert!(text.contains(r"a\u202eb\udb40\udc41\u007f\u001b\n") && text.contains("Grüße \u{1f600}"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data);
    }
}
