//! Suggestions for misspelt names.

/// Returns the item with the name closest to `wrong`, if about three of four characters match.
///
/// Only the known name may be shown: `wrong` could be a key that was pasted here.
pub(super) fn closest<'a, T>(wrong: &str, known: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    if wrong.len() > MAX_LENGTH {
        return None;
    }
    let wrong = wrong.to_lowercase();
    known
        .map(|(name, item)| (strsim::osa_distance(&wrong, name), name.len().div_ceil(4), item))
        .filter(|(distance, tolerance, _)| distance <= tolerance)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., item)| item)
}

/// In bytes. A longer text is no misspelt name, and the comparison would take long.
const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn suggestion(wrong: &str) -> Option<&'static str> {
        closest(wrong, ["default_cap_usd", "docs", "paid"].into_iter().map(|name| (name, name)))
    }

    #[test]
    fn misspelt_name_is_found_and_another_is_not() {
        for (wrong, known) in [
            ("default_cap", Some("default_cap_usd")),
            ("Default_Cap_USD", Some("default_cap_usd")),
            ("dosc", Some("docs")),
            ("pad", Some("paid")),
            ("", None),
            ("sk_live_0123456789abcdef", None),
            (&"docs".repeat(100), None),
        ] {
            assert_eq!(suggestion(wrong), known, "{wrong}");
        }
    }
}
