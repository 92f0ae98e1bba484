//! Pasted secrets and the program's own keys: neither is printed or stored.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    client::{Client, Era},
    raw_client::RawClient,
    workspace::{BackendKind, CommandOutput, Workspace},
};

#[test]
fn keys_pasted_by_an_agent_are_not_repeated_or_stored() {
    let workspace = Workspace::new();
    for canary in CANARIES {
        let mut client = RawClient::open(&workspace);
        client.initialize_as(canary);
        for arguments in calls_with(canary) {
            for tool in ["provision", "list_projects", "rotate_key", "teardown", canary] {
                client.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
            }
        }
        for uri in ["", "stripe-projects://", "stripe-projects://projects/", "file:///"] {
            client.request("resources/read", &json!({ "uri": format!("{uri}{canary}") }));
        }
        for method in ["tools/list", "resources/list", "resources/templates/list", canary] {
            client.request(method, &json!({ "cursor": canary }));
        }
        client.write_line(canary);
        // This name is valid, so the call is written to the ledger together with the client's name.
        client.call("provision", &json!({ "name": "web", "provider": "search" }));
        client.call("teardown", &json!({ "name": "web" }));
        assert_no_canary(&workspace, &client.disconnect(), &[]);
    }
    assert!(workspace.ledger().exists(), "or there was nothing to search");
}

#[test]
fn keys_pasted_at_the_command_line_are_not_repeated_or_stored() {
    let workspace = Workspace::new();
    for canary in CANARIES {
        let flag = format!("--{canary}");
        for arguments in [
            &["provision", canary, "search"][..],
            &["provision", "web", canary],
            &["provision", "web", "search", "--cap", canary],
            &["provision", "web", "search", canary],
            &["provision", "web", "search", &flag],
            &["rotate", canary],
            &["teardown", canary, "--yes"],
            &["usage", "record", canary, "1"],
            &["usage", "record", "web", canary],
            &["usage", canary],
            &["providers", canary],
            &["list", "--backend", canary],
            &["list", "--payment-method", canary],
            &["list", &format!("--all={canary}")],
            &[canary],
            &[&flag],
        ] {
            let output = workspace.run(arguments);
            assert_ne!(output.code, 0, "{arguments:?}");
            assert_no_canary(&workspace, &output, &[]);
            assert_no_canary(&workspace, &workspace.run(&[arguments, &["--json"]].concat()), &[]);
        }
        for variable in ["STRIPE_PROJECTS_BACKEND", "STRIPE_PROJECTS_PAYMENT_METHOD"] {
            let output = workspace.cli(&["list"]).env(variable, canary).run();
            assert_no_canary(&workspace, &output, &[]);
        }
    }
}

/// The registry is the author's file; none of its content may be repeated.
#[test]
fn registry_with_a_key_is_refused_without_quoting_it() {
    let workspace = Workspace::new();
    for canary in CANARIES {
        for (right, wrong) in [
            ("'Almanac'", format!("'{canary}'")),
            ("'Almanac'", canary.to_owned()),
            ("'Almanac'", format!("'{canary}")),
            ("'almanac/api'", format!("'{canary}'")),
            ("'ALMANAC_KEY'", format!("'{canary}'")),
            ("'https://example.com'", format!("'{canary}'")),
            ("'https://example.com'", format!("'https://user:{canary}@example.com'")),
            ("5", format!("'{canary}'")),
            ("docs =", format!("{canary} = 1\ndocs =")),
            ("docs =", format!("config = {{ token = '{canary}' }}\ndocs =")),
            ("docs =", format!("extra_env = {{ {canary} = 'ID' }}\ndocs =")),
            ("docs =", format!("[providers.{canary}]\ndocs =")),
            ("version = 1", format!("version = '{canary}'")),
            ("version = 1", format!("version = 1\npolicy = {{ denied = ['{canary}'] }}")),
        ] {
            workspace.write("providers.toml", ENTRY.replacen(right, &wrong, 1));
            let output = workspace.run(&["provision", "web", "almanac"]);
            assert_eq!(output.code, 2, "{wrong}: {output:?}");
            assert_no_canary(&workspace, &output, &["providers.toml"]);
        }
    }
}

/// Searches every output and every file after each operation that handles a key.
#[test]
fn keys_are_only_in_the_env_file() {
    for kind in BackendKind::ALL {
        assert_keys_only_in_env_file(&Workspace::on(kind));
    }
}

fn assert_keys_only_in_env_file(workspace: &Workspace) {
    let mut command = workspace.command(&["serve"]);
    command.env("RUST_LOG", "trace");
    let mut client = RawClient::start(command);
    client.initialize_as("lines");
    let mut keys = BTreeSet::new();
    let mut printed = String::new();

    for (tool, arguments) in [
        ("provision", json!({ "name": "memory", "provider": "supermemory" })),
        ("provision", json!({ "name": "db", "provider": "postgres" })),
        ("provision", json!({ "name": "db", "provider": "postgres" })),
        ("rotate_key", json!({ "name": "memory" })),
        ("rotate_key", json!({ "name": "db" })),
        ("list_projects", json!({ "include_torn_down": true })),
        ("teardown", json!({ "name": "memory" })),
    ] {
        let answer = client.call(tool, &arguments);
        assert!(answer["code"].is_null() || answer["code"] == "already_exists", "{answer}");
        keys.extend(values(workspace));
    }
    client.request("resources/read", &json!({ "uri": "stripe-projects://projects/db" }));
    #[cfg(target_os = "linux")]
    printed.push_str(&String::from_utf8_lossy(&fs::read(format!("/proc/{}/cmdline", client.pid())).unwrap()));

    for arguments in [
        &["provision", "web", "search"][..],
        &["rotate", "web"],
        &["list", "--all"],
        &["list", "--all", "--json"],
        &["teardown", "web", "--yes", "--json"],
    ] {
        let output = workspace.ok(arguments);
        keys.extend(values(workspace));
        printed.extend([output.stdout, output.stderr]);
    }
    if workspace.kind() == BackendKind::Simulated {
        let output = workspace.ok(&["usage", "record", "db", "0.5"]);
        printed.extend([output.stdout, output.stderr]);
    }
    let searched = assert_in_no_file(workspace, &keys, &[".env"]);
    let world = if workspace.kind() == BackendKind::StripeCli { "vault.json" } else { "simulated.db" };
    for file in ["ledger.db", world] {
        assert!(searched.iter().any(|searched| searched.ends_with(file)), "{searched:?}");
    }
    let output = client.disconnect();
    printed.extend([output.stdout, output.stderr]);

    // One of the four variables is a project's id, which the fake Stripe CLI does not treat as a secret.
    let variables = if workspace.kind() == BackendKind::StripeCli { 3 } else { 4 };
    assert_eq!(keys.len(), 2 * variables, "a first and a second key for each");
    for key in &keys {
        // Nor a part long enough to help guess the rest: a mask shows four characters.
        let digits: Vec<_> = key.strip_prefix(workspace.key_prefix()).unwrap().chars().collect();
        assert!(!digits.windows(12).any(|part| printed.contains(&part.iter().collect::<String>())));
    }
    assert_in_no_file(workspace, &keys, &[".env"]);
}

/// Uses a `stripe` that prints keys in its errors and on stderr, whatever the verb.
#[test]
fn keys_printed_by_stripe_are_not_repeated() {
    for verb in ["add", "rotate", "remove", "status", "services list", "env --pull", "billing update", "catalog"] {
        let workspace = Workspace::on(BackendKind::StripeCli);
        workspace.ok(&["provision", "memory", "supermemory"]);
        let mut keys: BTreeSet<_> = values(&workspace).into_iter().collect();
        for arguments in [
            &["provision", "web", "tts"][..],
            &["rotate", "memory"],
            &["list"],
            &["teardown", "memory", "--yes"],
            &["list", "--all", "--json"],
        ] {
            workspace.fake_stripe().inject_faults(json!([{ "verb": verb, "fault": "leaky", "times": 2 }]));
            let output = workspace.run(arguments);
            keys.extend(values(&workspace));
            let live = workspace.fake_stripe().resources();
            let living = live.iter().flat_map(|live| live.values.values()).filter_map(Value::as_str);
            keys.extend(living.filter(|key| key.starts_with(workspace.key_prefix())).map(str::to_owned));
            for key in &keys {
                assert!(!output.stdout.contains(key) && !output.stderr.contains(key), "{verb}: {arguments:?}");
            }
        }
        assert!(!keys.is_empty(), "{verb}: or there was nothing to look for");
        assert_in_no_file(&workspace, &keys, &[".env"]);
        let arguments_log: String = workspace.fake_stripe().log().iter().map(Value::to_string).collect();
        assert!(keys.iter().all(|key| !arguments_log.contains(key)), "{verb}: a key was an argument");
    }
}

/// A modern client identifies itself in each request.
#[tokio::test]
async fn keys_in_calls_of_a_modern_client_are_not_repeated() {
    let workspace = Workspace::new();
    let client = Client::connect(&workspace, Era::Modern).await;
    let response = client.ok("provision", json!({ "name": "memory", "provider": "supermemory" })).await;
    let keys: BTreeSet<_> = values(&workspace).into_iter().collect();
    assert_eq!(keys.len(), 1);
    assert!(keys.iter().all(|key| !response.to_string().contains(key)));
    for canary in CANARIES {
        for arguments in calls_with(canary) {
            let result = format!("{:?}", client.call("provision", arguments).await);
            assert!(!result.contains(canary), "{result}");
        }
    }
    assert_in_no_file(&workspace, &keys, &[".env"]);
    assert_in_no_file(&workspace, &CANARIES.map(str::to_owned).into(), &[]);
}

/// Returns calls with the key in each place of their arguments.
fn calls_with(canary: &str) -> Vec<Value> {
    vec![
        json!({ "name": canary, "provider": "search" }),
        json!({ "name": "web", "provider": canary }),
        json!({ "name": "web", "provider": "search", "spend_cap_usd": canary }),
        json!({ "name": "web", "provider": "search", "spend_cap_usd": { canary: canary } }),
        json!({ "name": { "key": canary }, "provider": "search" }),
        json!({ "name": [canary] }),
        json!({ "name": "web", canary: 1 }),
        json!({ "name": "web", "key": canary }),
        json!({ canary: canary }),
        json!({ "cursor": canary }),
        json!({ "cursor": [canary] }),
        json!({ "limit": canary }),
        json!({ "include_torn_down": canary }),
    ]
}

/// Asserts that the output and all files but the named ones contain no canary.
fn assert_no_canary(workspace: &Workspace, output: &CommandOutput, own: &[&str]) {
    for canary in CANARIES {
        assert!(!output.stdout.contains(canary) && !output.stderr.contains(canary), "{output:?}");
    }
    assert_in_no_file(workspace, &CANARIES.map(str::to_owned).into(), own);
}

/// Asserts that no file contains one of the words, in its content or path. Excepted files are skipped.
fn assert_in_no_file(workspace: &Workspace, secrets: &BTreeSet<String>, except: &[&str]) -> Vec<PathBuf> {
    let files: Vec<_> =
        workspace.files().into_iter().filter(|file| !except.iter().any(|own| file.ends_with(own))).collect();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        for secret in secrets {
            assert!(
                !contains(&bytes, secret) && !contains(path_bytes(file), secret),
                "a secret is in {}",
                file.display()
            );
        }
    }
    files
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Returns the keys in the env file.
fn values(workspace: &Workspace) -> Vec<String> {
    let text = workspace.read(".env");
    let values = text.lines().filter_map(|line| Some(line.split_once('=')?.1));
    values.filter(|value| value.starts_with(workspace.key_prefix())).map(str::to_owned).collect()
}

/// Keys that a user may have in the clipboard. The last is the number of Stripe's test card.
const CANARIES: [&str; 4] = [
    "sk_live_51Canary0123456789abcdef",
    "sk-canary-0123456789abcdef0123",
    "ghp_Canary0123456789abcdef0123456789",
    "4242424242424242",
];

const ENTRY: &str = "version = 1
[providers.almanac]
label = 'Almanac'
service = 'almanac/api'
env_var = 'ALMANAC_KEY'
default_cap_usd = 5
docs = 'https://example.com'
";
