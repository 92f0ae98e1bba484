//! SECURITY.md claims only what tests prove.

use std::{fs, path::Path};

/// A claim that cites a missing test proves nothing.
#[test]
fn every_test_that_is_named_exists() {
    let named = named_tests();
    assert!(named.len() > 40, "SECURITY.md names too few tests: {named:?}");
    for (module, test) in named {
        let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/suite/{module}.rs"));
        let text = fs::read_to_string(&suite).unwrap_or_else(|_| panic!("there is no {}", suite.display()));
        assert!(text.contains(&format!("fn {test}(")), "tests/suite/{module}.rs has no `{test}`");
    }
}

/// Each line about what an attacker cannot do cites its test.
#[test]
fn every_claim_names_a_test() {
    let claims: Vec<&str> = lists("\n**Cannot**\n").collect();
    assert!(claims.len() > 20, "{claims:#?}");
    for claim in claims {
        assert!(claim.contains("::"), "a claim without a test: {claim}");
    }
}

/// Returns the items of each list under such a heading, each on one line.
fn lists(heading: &'static str) -> impl Iterator<Item = &'static str> {
    let parts = SECURITY.split(heading).skip(1);
    parts.flat_map(|part| part.trim_start().split("\n\n").next().unwrap_or_default().split("\n- "))
}

/// Returns each `module::test` in backticks.
fn named_tests() -> Vec<(&'static str, &'static str)> {
    let words = SECURITY.split('`').skip(1).step_by(2);
    words.filter_map(|word| word.split_once("::")).collect()
}

const SECURITY: &str = include_str!("../../SECURITY.md");
