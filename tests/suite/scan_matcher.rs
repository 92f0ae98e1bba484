//! The matcher against one that takes its time: it hashes every window there is.

use std::collections::BTreeSet;

use proptest::prelude::*;
use stripe_projects_mcp::{
    scan::{CONTEXT, Hit, KnownKey, Matcher, Window},
    secret::{Fingerprint, Secret},
};

/// With a prefix that begins another one, without any, odd ones, and a short one.
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

/// What stands between keys: every kind of boundary and sign, and what only looks like the beginning of something.
const BETWEEN: [&str; 26] = [
    " ", "\n", "\"", "'", "`", "=", ":", ",", "(", ")", "[", "]", "{", "}", "<", ">", "\\n", "\\\"", "\\", "%3D", "a",
    "sk_", "_", "\0", "ü", "word",
];

proptest! {
    #[test]
    fn it_finds_what_a_patient_one_finds(pieces in pieces(), some in some()) {
        let (text, matcher) = (text(&pieces), matcher(&some));
        let hits = matcher.find(&Window::whole(&text)).into_iter().collect::<BTreeSet<_>>();
        prop_assert_eq!(hits, patiently(&text, &some));
    }

    /// Whatever the stretches, each start is asked about once, and answered as if the whole had been seen.
    #[test]
    fn it_finds_the_same_in_stretches(pieces in pieces(), some in some(), step in 1_usize..200) {
        let (text, matcher) = (text(&pieces), matcher(&some));
        let mut hits = Vec::new();
        for from in (0..text.len()).step_by(step) {
            let (limit, base) = ((from + step).min(text.len()), from.saturating_sub(CONTEXT));
            let end = (limit + matcher.reach()).min(text.len());
            let stretch = Window { bytes: &text[base..end], starts: from - base..limit - base, at_end: end == text.len() };
            let whole = |hit: Hit| Hit { range: (hit.range.0 + base, hit.range.1 + base), index: hit.index };
            hits.extend(matcher.find(&stretch).into_iter().map(whole));
        }
        prop_assert_eq!(hits.iter().cloned().collect::<BTreeSet<_>>(), patiently(&text, &some));
        prop_assert_eq!(hits.len(), patiently(&text, &some).len(), "something was found twice");
    }
}

fn pieces() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    proptest::collection::vec((0..KEYS.len(), 0..BETWEEN.len(), 0..BETWEEN.len()), 0..12)
}

/// Which keys are known decides how far it leaps: without the short ones, far.
fn some() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(KEYS.to_vec(), 1..=KEYS.len())
}

/// Some keys whole and some cut, with something in between.
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

/// Knows the keys in `only`, each under its place there.
fn matcher(only: &[&str]) -> Matcher {
    let kept: Vec<_> = secrets(only).iter().map(|secret| (secret.fingerprint(), secret.mask(), secret.len())).collect();
    let known = |(fingerprint, mask, length)| KnownKey { fingerprint, mask, length };
    Matcher::new(
        &kept.iter().map(|(fingerprint, mask, length)| known((fingerprint, mask, *length))).collect::<Vec<_>>(),
    )
}

fn patiently(text: &[u8], only: &[&str]) -> BTreeSet<Hit> {
    let mut hits = BTreeSet::new();
    for (place, one) in secrets(only).iter().enumerate() {
        for (start, window) in text.windows(one.len()).enumerate() {
            let end = start + one.len();
            let right = one.mask().shown().is_some() || stands_alone(text, start, end);
            if right && window == only[place].as_bytes() && Fingerprint::of(window) == one.fingerprint() {
                hits.insert(Hit { range: (start, end), index: place });
            }
        }
    }
    hits
}

/// A credential without a mask is found as a word: one end at a boundary, the other there or at a sign.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let boundary = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`\\<>".contains(&byte);
    let sign = |byte: u8| b"=:,;|&()[]{}".contains(&byte);
    let before = start.checked_sub(1).map(|place| text[place]);
    let after = text.get(end).copied();
    let escaped = start >= 2 && text[start - 2] == b'\\';
    let (begins, ends) = (escaped || before.is_none_or(boundary), after.is_none_or(boundary));
    begins && (ends || after.is_some_and(sign)) || ends && before.is_some_and(sign)
}
