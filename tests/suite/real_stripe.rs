//! The contract against Stripe itself, for those who have an account and ask for it.
//!
//! `STRIPE_PROJECTS_TEST_BACKEND=stripe-cli cargo test real_stripe -- --ignored --nocapture`, or `stripe-api` with a
//! key of test mode in `STRIPE_API_KEY`. `STRIPE_PROJECTS_TEST_PROVIDER` names another entry of the built-in registry
//! than the free `tts`. It creates one project and tears it down.

use std::{env, process::Command};

use domain::{name::ProviderKey, secret::Secret};
use files::registry::Registry;
use serde_json::Value;

use crate::workspace::{CommandOutput, Workspace};

#[test]
#[ignore = "speaks to the real Stripe; see the first lines of this file"]
fn project_lifecycle_at_stripe() {
    let backend = env::var("STRIPE_PROJECTS_TEST_BACKEND").expect("STRIPE_PROJECTS_TEST_BACKEND says which backend");
    let provider = env::var("STRIPE_PROJECTS_TEST_PROVIDER").unwrap_or_else(|_| "tts".to_owned());
    let api_key = env::var("STRIPE_API_KEY").unwrap_or_default();
    if backend == "stripe-api" {
        assert!(api_key.starts_with("rk_test_") || api_key.starts_with("sk_test_"), "only with a key of test mode");
    }
    let registry = Registry::builtin().unwrap();
    let recipe = registry.get(&ProviderKey::parse(&provider).unwrap()).expect("the built-in registry has it");
    println!(
        "creates one {} through {backend} ({}), cap 1 USD a month, accepts its terms of service, and removes it again",
        recipe.service,
        if recipe.paid { "billed" } else { "free by the registry" }
    );

    let workspace = Workspace::new();
    let run = |arguments: &[&str]| -> Value {
        let mut command: Command = workspace.command(arguments);
        command.args(["--json", "--accept-tos", "--backend", &backend]);
        if !api_key.is_empty() {
            command.env("STRIPE_API_KEY", &api_key);
        }
        let output = CommandOutput::from(command.output().unwrap());
        println!("{arguments:?}\n{}", output.stdout);
        serde_json::from_str(&output.stdout).unwrap()
    };
    let response = run(&["provision", "contract-test", &provider, "--cap", "1"]);
    if response["code"].is_null() || response["code"] == "outcome_unknown" || response["code"] == "key_not_delivered" {
        let variable = response["env_var"].as_str().unwrap_or_default().to_owned();
        let first = workspace.variable(&variable);
        let rotated = run(&["rotate", "contract-test"]);
        let second = workspace.variable(&variable);
        let gone = run(&["teardown", "contract-test", "--yes"]);
        assert_eq!(gone["status"], "torn_down", "something may be left at Stripe: look there");
        assert_eq!(response["status"], "active");
        // Some services cannot rotate.
        assert!(rotated["key_version"] == 2 || rotated["code"] == "provider_failed");
        let fingerprint = |key: Option<String>| Secret::new(key.unwrap()).fingerprint();
        assert_eq!(fingerprint(first) != fingerprint(second), rotated["key_version"] == 2);
    } else {
        panic!("nothing was created");
    }
}
