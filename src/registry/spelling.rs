//! Which known word somebody meant.

/// The thing whose name is nearest to `wrong`; none, unless about three characters of four are right.
///
/// Only the known name may be shown: what was typed could be a key in the wrong place.
pub(super) fn closest<'a, T>(wrong: &str, known: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    known
        .map(|(name, thing)| (strsim::osa_distance(&wrong, name), name.len().div_ceil(4), thing))
        .filter(|(distance, tolerance, _)| distance <= tolerance)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., thing)| thing)
}

/// Nobody misspells a name at greater length, and comparing a pasted novel takes time.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(wrong: &str) -> Option<&'static str> {
        closest(wrong, ["default_cap_usd", "docs", "paid"].into_iter().map(|name| (name, name)))
    }

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        for (wrong, known) in [
            ("default_cap", Some("default_cap_usd")),
            ("Default_Cap_USD", Some("default_cap_usd")),
            ("dosc", Some("docs")),
            ("pad", Some("paid")),
            ("", None),
            ("sk_live_0123456789abcdef", None),
            (&"docs".repeat(100), None),
        ] {
            assert_eq!(meant(wrong), known, "{wrong}");
        }
    }
}
