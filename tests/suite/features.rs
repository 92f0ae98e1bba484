//! Optional features, which tests need and no release has.

use std::process::Command;

/// The HTTP transport for `tests/clients/conformance` is a network server, which the program must never be.
#[test]
fn default_build_has_no_http_transport() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    assert_eq!(features["conformance"].as_array().unwrap()[0].as_str(), Some("rmcp/transport-streamable-http-server"));
    assert_eq!(
        features["default"].as_array().unwrap(),
        &[toml::Value::from("simulator")],
        "releases have the default features"
    );

    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p} {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let built = String::from_utf8(tree.stdout).unwrap();
    let rmcp = built.lines().find(|line| line.starts_with("rmcp v"));
    let rmcp = rmcp.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&tree.stderr)));
    assert!(rmcp.contains("transport-io") && !rmcp.contains("http"), "{rmcp}");
}
