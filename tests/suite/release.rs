//! The published files agree on name, version and description, and no secret becomes an argument.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{
    client::{Client, ERAS},
    workspace::Workspace,
};

#[test]
fn published_files_agree_with_the_manifest() {
    let Some(Published { crates_io, registry, bundle }) = Published::read() else { return };
    let (owner, name) = crates_io.owner_and_name();
    let known_as = format!("io.github.{owner}/{name}");
    assert_eq!(name, crates_io.text("name"), "the repository is called as the crate is");

    for (file, what, actual, expected) in [
        ("server.json", "name", &registry["name"], known_as.as_str()),
        ("server.json", "version", &registry["version"], crates_io.text("version")),
        ("server.json", "description", &registry["description"], crates_io.text("description")),
        ("server.json", "repository", &registry["repository"]["url"], crates_io.text("repository")),
        ("server.json", "package", &registry["packages"][0]["identifier"], crates_io.text("name")),
        ("server.json", "its version", &registry["packages"][0]["version"], crates_io.text("version")),
        ("bundle/manifest.json", "name", &bundle["name"], crates_io.text("name")),
        ("bundle/manifest.json", "version", &bundle["version"], crates_io.text("version")),
        ("bundle/manifest.json", "description", &bundle["description"], crates_io.text("description")),
        ("bundle/manifest.json", "author", &bundle["author"]["name"], owner.as_str()),
        ("bundle/manifest.json", "license", &bundle["license"], crates_io.text("license")),
    ] {
        assert_eq!(actual, expected, "{what} in {file} is not what Cargo.toml says: run bundle/stamp");
    }

    // crates.io hides comments, so the line that proves the owner of the server has to be visible.
    let line = format!("`mcp-name: {known_as}`");
    assert_eq!(README.matches(&line).count(), 1, "{line} is not in README.md: run bundle/stamp");
    let heading = format!("## [{}] - ", crates_io.text("version"));
    assert!(CHANGELOG.contains(&heading), "CHANGELOG.md has no section {heading}");
    let longest = 100; // the registry rejects more
    assert!(crates_io.text("description").chars().count() <= longest, "the description is too long for the registry");
}

#[test]
fn secret_options_become_variables_and_never_arguments() {
    let Some(Published { registry, bundle, .. }) = Published::read() else { return };
    let options = bundle["user_config"].as_object().unwrap();
    let secrets: Vec<_> =
        options.iter().filter(|(_, option)| option["sensitive"] == true).map(|(key, _)| key).collect();
    assert_eq!(secrets, ["stripe_api_key"]);
    let server = &bundle["server"]["mcp_config"];
    let arguments = format!("{} {} {}", server["command"], server["args"], server["platform_overrides"]);
    for secret in secrets {
        assert!(!arguments.contains(secret.as_str()), "{secret} would be in the list of processes");
        assert_eq!(server["env"]["STRIPE_API_KEY"], format!("${{user_config.{secret}}}"));
    }
    // A host leaves a placeholder without a value unchanged, so an optional setting defaults to an empty string.
    for (key, option) in options {
        assert!(option["required"] == true || option["default"].is_string(), "{key} would reach us as a placeholder");
    }

    let package = &registry["packages"][0];
    let variables = package["environmentVariables"].as_array().unwrap();
    let key = variables.iter().find(|variable| variable["name"] == "STRIPE_API_KEY").unwrap();
    assert_eq!(key["isSecret"], true);
    let arguments = package["packageArguments"].as_array().unwrap();
    assert!(arguments.iter().all(|argument| argument["isSecret"] != true));
}

#[tokio::test]
async fn bundle_lists_the_existing_tools() {
    let Some(Published { bundle, .. }) = Published::read() else { return };
    let promised: BTreeSet<_> =
        bundle["tools"].as_array().unwrap().iter().map(|tool| tool["name"].to_string()).collect();
    for era in ERAS {
        let client = Client::connect(&Workspace::new(), era).await;
        let tools = client.0.list_all_tools().await.unwrap();
        let there: BTreeSet<_> = tools.iter().map(|tool| Value::from(tool.name.as_ref()).to_string()).collect();
        assert_eq!(promised, there);
    }
}

/// The metadata for a registry, a host and crates.io.
struct Published {
    crates_io: CratesIo,
    registry: Value,
    bundle: Value,
}

impl Published {
    /// Returns `None` in the published crate, which lacks the other two files.
    fn read() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        if !root.join("bundle").exists() {
            assert!(!root.join(".git").exists(), "the repository has lost its bundle");
            return None;
        }
        let json = |file: &str| serde_json::from_slice(&fs::read(root.join(file)).unwrap()).unwrap();
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
        Some(Self {
            crates_io: CratesIo::read(&manifest),
            registry: json("server.json"),
            bundle: json("bundle/manifest.json"),
        })
    }
}

/// The `[package]` of Cargo.toml.
struct CratesIo(toml::Table);

impl CratesIo {
    /// `[package]` of the root, with what it takes from `[workspace.package]`.
    fn read(manifest: &toml::Table) -> Self {
        let mut package = manifest["workspace"]["package"].as_table().unwrap().clone();
        let own = manifest["package"].as_table().unwrap().clone();
        package.extend(own.into_iter().filter(|(_, value)| !value.is_table()));
        Self(package)
    }

    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap()
    }

    /// Returns OWNER and NAME of `https://github.com/OWNER/NAME`.
    fn owner_and_name(&self) -> (String, String) {
        let path = self.text("repository").strip_prefix("https://github.com/").unwrap();
        let (owner, name) = path.split_once('/').unwrap();
        (owner.to_owned(), name.to_owned())
    }
}

const README: &str = include_str!("../../README.md");
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");
