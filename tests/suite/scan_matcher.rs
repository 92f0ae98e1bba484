//! The matcher against a naive one that hashes every window.

use std::collections::BTreeSet;

use domain::secret::{Fingerprint, Secret};
use files::scan::{CONTEXT, Hit, KnownKey, Matcher, Window};
use proptest::prelude::*;

/// With a prefix of another one, without any, unusual ones, and a short one.
const KEYS: [&str; 9] = [
    "sk_proj_sim_0123456789abcdef0123456789abcdef",
    "sk_proj_sim_0123456789abcdef0123456789ab0000",
    "sk_abcdefghijklmnopqrstuvwxyz",
    "sk_sk_sk_sk_sk_sk_sk_sk_sk_sk_sk_",
    "0123456789abcdef01234567",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "postgres://u:p=a,b@db.example/app?x=1&y=2",
    "a=b:c,d(e)f[g]h{i}",
    "hunter2",
];

/// Text between keys: every kind of boundary and sign, and false starts.
const BETWEEN: [&str; 26] = [
    " ", "\n", "\"", "'", "`", "=", ":", ",", "(", ")", "[", "]", "{", "}", "<", ">", "\\n", "\\\"", "\\", "%3D", "a",
    "sk_", "_", "\0", "ü", "word",
];

proptest! {
    #[test]
    fn matches_agree_with_a_naive_search(pieces in pieces(), some in key_subset()) {
        let (text, matcher) = (text(&pieces), matcher(&some));
        let hits = matcher.find(&Window::whole(&text)).into_iter().collect::<BTreeSet<_>>();
        prop_assert_eq!(hits, naive_search(&text, &some));
    }

    /// For any chunk size, each start is reported once, as in one chunk.
    #[test]
    fn matches_are_the_same_across_chunks(pieces in pieces(), some in key_subset(), step in 1_usize..200) {
        let (text, matcher) = (text(&pieces), matcher(&some));
        let mut hits = Vec::new();
        for from in (0..text.len()).step_by(step) {
            let (limit, base) = ((from + step).min(text.len()), from.saturating_sub(CONTEXT));
            let end = (limit + matcher.reach()).min(text.len());
            let stretch = Window { bytes: &text[base..end], starts: from - base..limit - base, at_end: end == text.len() };
            let whole = |hit: Hit| Hit { range: (hit.range.0 + base, hit.range.1 + base), index: hit.index };
            hits.extend(matcher.find(&stretch).into_iter().map(whole));
        }
        prop_assert_eq!(hits.iter().cloned().collect::<BTreeSet<_>>(), naive_search(&text, &some));
        prop_assert_eq!(hits.len(), naive_search(&text, &some).len(), "something was found twice");
    }
}

fn pieces() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    proptest::collection::vec((0..KEYS.len(), 0..BETWEEN.len(), 0..BETWEEN.len()), 0..12)
}

/// The set of known keys decides the step size: without short keys, it is large.
fn key_subset() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(KEYS.to_vec(), 1..=KEYS.len())
}

/// Builds a text of whole and cut keys, with other text in between.
fn text(pieces: &[(usize, usize, usize)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, before, after) in pieces {
        let cut = if before == after { 3 } else { 0 };
        text.extend(BETWEEN[*before].as_bytes());
        text.extend(&KEYS[*key].as_bytes()[cut..]);
        text.extend(BETWEEN[*after].as_bytes());
    }
    text
}

fn secrets(keys: &[&str]) -> Vec<Secret> {
    keys.iter().map(|key| Secret::new((*key).to_owned())).collect()
}

/// Creates a matcher for the keys in `only`, each under its index there.
fn matcher(only: &[&str]) -> Matcher {
    let keys: Vec<_> = secrets(only).iter().map(|secret| (secret.fingerprint(), secret.mask(), secret.len())).collect();
    let known = |(fingerprint, mask, length)| KnownKey { fingerprint, mask, length };
    Matcher::new(
        &keys.iter().map(|(fingerprint, mask, length)| known((fingerprint, mask, *length))).collect::<Vec<_>>(),
    )
}

fn naive_search(text: &[u8], only: &[&str]) -> BTreeSet<Hit> {
    let mut hits = BTreeSet::new();
    for (place, one) in secrets(only).iter().enumerate() {
        for (start, window) in text.windows(one.len()).enumerate() {
            let end = start + one.len();
            let right = one.mask().shown().is_some() || is_separate_word(text, start, end);
            if right && window == only[place].as_bytes() && Fingerprint::of(window) == one.fingerprint() {
                hits.insert(Hit { range: (start, end), index: place });
            }
        }
    }
    hits
}

/// Returns whether a credential without a mask is a separate word. One end is at a boundary, the other at a boundary or
/// sign.
fn is_separate_word(text: &[u8], start: usize, end: usize) -> bool {
    let boundary = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`\\<>".contains(&byte);
    let sign = |byte: u8| b"=:,;|&()[]{}".contains(&byte);
    let before = start.checked_sub(1).map(|place| text[place]);
    let after = text.get(end).copied();
    let escaped = start >= 2 && text[start - 2] == b'\\';
    let (begins, ends) = (escaped || before.is_none_or(boundary), after.is_none_or(boundary));
    begins && (ends || after.is_some_and(sign)) || ends && before.is_some_and(sign)
}
