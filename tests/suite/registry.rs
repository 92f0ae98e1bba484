//! The registry as its author meets it: what is wrong, where, and what to write instead.

use crate::workspace::Workspace;

#[test]
fn a_mistake_is_shown_where_it_stands() {
    let workspace = Workspace::new();
    let file = workspace.file("providers.toml");
    let correct = "correct the file and run `stripe-projects-mcp providers check`; until then nothing is provisioned, \
         and list, rotate and teardown go on";
    let keys = "use one of the keys: approval, config, credential, default_cap_usd, default_expires_in, docs, env_var, \
         extra_env, label, max_cap_usd, max_expires_in, paid, plan, service, terms_accepted";
    let dangerous = "this variable changes how programs start, so it may not carry a credential";
    let same = "another variable of this provider has the same name (case is ignored)";
    for (right, wrong, place, message, hint) in [
        ("default_cap_usd", "default_cap", "6:1", "unknown key; did you mean `default_cap_usd`?", keys),
        ("label", "colour = 1\nlabel", "3:1", "unknown key", keys),
        ("'ALMANAC_KEY'", "'PATH'", "5:11", dangerous, correct),
        ("'ALMANAC_KEY'", "'LD_PRELOAD'", "5:11", dangerous, correct),
        ("'ALMANAC_KEY'", "'NODE_OPTIONS'", "5:11", dangerous, correct),
        ("_usd = 5", "_usd = -5", "6:19", "the amount is negative", correct),
        ("_usd = 5", "_usd = 0", "6:19", "a cap must be above 0", correct),
        ("_usd = 5", "_usd = 0.001", "6:19", "the amount has more decimals than can be billed", correct),
        ("_usd = 9", "_usd = 4.99", "7:15", "the maximum is below the default", correct),
        ("ALMANAC_ID ", "almanac_key ", "9:15", same, correct),
        ("label = 'Almanac'", "label 'Almanac'", "3:7", "invalid TOML", correct),
        ("label = 'Almanac'", "label = Almanac", "3:9", "invalid TOML: expected a quoted string", correct),
        (
            "version = 1",
            "version = 2",
            "1:11",
            "unknown version of the file format; this program reads version 1",
            correct,
        ),
        ("docs", "docs = 'https://example.com'\ndocs", "9:1", "duplicate key", correct),
        ("env_var = 'ALMANAC_KEY'", "", "2:1", "`env_var` is missing", correct),
    ] {
        assert!(SOUND.contains(right), "{right}");
        workspace.write("providers.toml", SOUND.replacen(right, wrong, 1));
        let ran = workspace.run(&["providers", "check"]);
        let said = format!("error: the registry cannot be used: {}:{place}: {message}\nhint: {hint}\n", file.display());
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (2, "", said), "{wrong}");
    }
    workspace.write("providers.toml", SOUND);
    workspace.ok(&["providers", "check"]);
}

/// One entry in one file is all that it takes.
#[test]
fn a_new_provider_is_an_entry_and_nothing_else() {
    let workspace = Workspace::new();
    workspace.write("providers.toml", SOUND);
    let made = workspace.json(&["provision", "weather", "almanac"]);
    assert_eq!((made["env_var"].as_str(), made["spend_cap_usd"].as_f64()), (Some("ALMANAC_KEY"), Some(5.0)));
    for variable in ["ALMANAC_KEY", "ALMANAC_ID"] {
        assert!(workspace.owner_of(&workspace.variable(variable).unwrap()).is_some(), "{variable}");
    }
}

/// What a project needs in order to end is in the ledger.
#[test]
fn a_provider_that_is_taken_out_leaves_no_orphan() {
    let workspace = Workspace::new();
    workspace.write("providers.toml", SOUND);
    workspace.ok(&["provision", "weather", "almanac"]);
    let key = workspace.variable("ALMANAC_KEY").unwrap();
    workspace.write("providers.toml", SOUND.replace("almanac", "calendar").replace("ALMANAC", "CALENDAR"));
    assert_eq!(workspace.json(&["list"])["projects"][0]["provider"], "almanac");
    workspace.ok(&["rotate", "weather"]);
    assert!(workspace.owner_of(&key).is_none());
    workspace.ok(&["teardown", "weather", "--yes"]);
    assert_eq!(workspace.read(".env"), "");
    assert!(workspace.world().observe_everything().unwrap().is_empty());
}

const SOUND: &str = "version = 1
[providers.almanac]
label = 'Almanac'
service = 'almanac/api'
env_var = 'ALMANAC_KEY'
default_cap_usd = 5
max_cap_usd = 9
docs = 'https://example.com'
extra_env = { ALMANAC_ID = 'ID' }
";
