//! The edits of host configurations, as text: no byte changes but those of our entry.

use files::host_config::{Entry, Host, ShapeError, remove, upsert};
use proptest::{prelude::*, string::string_regex};
use serde_json::{Value, json};

fn entry() -> Entry {
    Entry { command: "/bin/x".into(), args: vec!["serve".into(), "--dir".into(), "/p".into()] }
}

/// Returns the text of a Cursor file with our entry.
fn json_with(text: &str) -> String {
    upsert(Host::Cursor, text, &entry()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn toml_with(text: &str) -> String {
    upsert(Host::Codex, text, &entry()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const LONG: &str = r#""stripe-projects": {
      "command": "/bin/x",
      "args": ["serve", "--dir", "/p"]
    }"#;

const SHORT: &str = r#""stripe-projects": {"command": "/bin/x", "args": ["serve", "--dir", "/p"]}"#;

const TABLE: &str = "[mcp_servers.stripe-projects]\ncommand = \"/bin/x\"\nargs = [\"serve\", \"--dir\", \"/p\"]";

#[test]
fn json_entry_is_inserted_in_the_style_of_its_neighbors() {
    let whole = format!("{{\n  \"mcpServers\": {{\n    {LONG}\n  }}\n}}");
    for (before, after) in [
        ("", format!("{whole}\n")),
        ("{}", whole.clone()),
        ("// mine", format!("// mine\n{whole}\n")),
        ("/* mine */ ", format!("/* mine */ \n{whole}\n")),
        ("{}\n", format!("{whole}\n")),
        ("// mine\n{\n}\n", format!("// mine\n{whole}\n")),
        ("{\"a\":1}", format!("{{\"a\":1, \"mcpServers\": {{{SHORT}}}}}")),
        ("{\"mcpServers\":{}}", format!("{{\"mcpServers\":{{{SHORT}}}}}")),
        ("{\n  \"mcpServers\": {}\n}", whole.clone()),
        (
            "{\n  \"mcpServers\": {\n    \"b\": {} // theirs\n  }\n}",
            format!("{{\n  \"mcpServers\": {{\n    \"b\": {{}}, // theirs\n    {LONG}\n  }}\n}}"),
        ),
        (
            "{\n  \"mcpServers\": {\n    \"b\": {}, /* theirs */\n    // the end\n  },\n}",
            format!("{{\n  \"mcpServers\": {{\n    \"b\": {{}}, /* theirs */\n    // the end\n    {LONG},\n  }},\n}}"),
        ),
    ] {
        assert_eq!(json_with(before), after, "{before}");
    }
    let tabs = json_with("{\r\n\t\"mcpServers\": {\r\n\t\t\"b\": {}\r\n\t}\r\n}\r\n");
    assert!(
        tabs.contains("\t\t\"b\": {},\r\n\t\t\"stripe-projects\": {\r\n\t\t\t\"command\": \"/bin/x\",\r\n"),
        "{tabs:?}"
    );
    assert!(!tabs.replace("\r\n", "").contains('\n'));
}

#[test]
fn toml_table_is_appended() {
    for (before, after) in [
        ("", format!("{TABLE}\n")),
        ("a = 1\n", format!("a = 1\n\n{TABLE}\n")),
        ("a = 1 # no end", format!("a = 1 # no end\n\n{TABLE}")),
        ("[mcp_servers.b]\ncommand = 'b'\n", format!("[mcp_servers.b]\ncommand = 'b'\n\n{TABLE}\n")),
        ("[mcp_servers]\nb.command = 'b'\n", format!("[mcp_servers]\nb.command = 'b'\n\n{TABLE}\n")),
        ("a = 1\r\n", format!("a = 1\r\n\r\n{}\r\n", TABLE.replace('\n', "\r\n"))),
    ] {
        assert_eq!(toml_with(before), after, "{before}");
        assert_eq!(remove(Host::Codex, &after).unwrap(), before);
    }
}

#[test]
fn different_entry_is_corrected_in_place() {
    let edited =
        "{\"mcpServers\": {\"stripe-projects\": {\"args\": [1, 2], /* c */ \"command\": \"old\", \"timeout\": 9}}}";
    let expected = edited.replace("[1, 2]", "[\"serve\", \"--dir\", \"/p\"]").replace("\"old\"", "\"/bin/x\"");
    assert_eq!(json_with(edited), expected);
    let empty = "{\"mcpServers\": {\"stripe-projects\": {}}}";
    assert_eq!(json_with(empty), format!("{{\"mcpServers\": {{{SHORT}}}}}"));

    let edited = "[mcp_servers.stripe-projects] # ours\nargs = [ 'x', # y\n]\nstartup_timeout_sec = 9\n[b]\nc = 1\n";
    let expected = "[mcp_servers.stripe-projects] # ours\ncommand = \"/bin/x\"\nargs = [\"serve\", \"--dir\", \"/p\"]\n\
        startup_timeout_sec = 9\n[b]\nc = 1\n";
    assert_eq!(toml_with(edited), expected);
    let inline = "mcp_servers.stripe-projects = { command = 'old', args = [] } # ours\n";
    let expected =
        "mcp_servers.stripe-projects = { command = \"/bin/x\", args = [\"serve\", \"--dir\", \"/p\"] } # ours\n";
    assert_eq!(toml_with(inline), expected);
}

#[test]
fn fields_that_could_steer_us_are_dropped() {
    for (fields, left) in [
        (r#""env": {"A": "b"}, "command": "old", "args": []"#, ""),
        (r#""command": "old", "envFile": ".x", "args": [], "cwd": "/""#, ""),
        (r#""command": "old", "args": [], "type": "http", "url": "https://x", "headers": {"A": "b"}"#, ""),
        (r#""command": "old", "args": [], "alwaysAllow": ["provision"], "disabled": false"#, r#", "disabled": false"#),
        (r#""command": "old", "args": [], "timeout": {"x": 1}, "a b": null, "": 1"#, ""),
    ] {
        let before = format!("{{\"mcpServers\": {{\"stripe-projects\": {{{fields}}}, \"b\": {{\"env\": {{}}}}}}}}");
        let entry = r#""command": "/bin/x", "args": ["serve", "--dir", "/p"]"#;
        let after = format!("{{\"mcpServers\": {{\"stripe-projects\": {{{entry}{left}}}, \"b\": {{\"env\": {{}}}}}}}}");
        assert_eq!(json_with(&before), after);
    }
    let lines = "{\n  \"mcpServers\": {\n    \"stripe-projects\": {\n      \"env\": {\n        \"A\": \"b\"\n      }, // e\n      \
        \"command\": \"/bin/x\",\n      \"args\": [\"serve\", \"--dir\", \"/p\"]\n    }\n  }\n}\n";
    let after = json_with(lines);
    assert!(!after.contains("env") && after.contains("// e"), "{after}");

    let other = "\n[b]\nenv = { C = 'd' }\n";
    for fields in [
        "env = { A = 'b' }\ncwd = '/'\n",
        "env.A = 'b'\nenv.\"LD_PRELOAD\" = \"\"\"\nx\n\"\"\"\n",
        "[mcp_servers.stripe-projects.env]\nA = 'b'\n\n[mcp_servers.stripe-projects.http_headers]\nX = 'y'\n",
    ] {
        let before = format!("[mcp_servers.stripe-projects]\ncommand = 'old'\nargs = []\n{fields}{other}");
        let after = toml_with(&before);
        let read: Value = toml::from_str(&after).unwrap();
        let entry = json!({ "command": "/bin/x", "args": ["serve", "--dir", "/p"] });
        assert_eq!(read["mcp_servers"]["stripe-projects"], entry, "{before}\n{after}");
        assert!(after.ends_with(other), "{after}");
    }
    let inline =
        "mcp_servers.stripe-projects = { env = { A = 'b' }, command = 'old', args = [], enabled = true } # ours\n";
    let read: Value = toml::from_str(&toml_with(inline)).unwrap();
    let entry = json!({ "command": "/bin/x", "args": ["serve", "--dir", "/p"], "enabled": true });
    assert_eq!(read["mcp_servers"]["stripe-projects"], entry);
    assert!(toml_with(inline).ends_with(" # ours\n"));
}

#[test]
fn json_entry_is_removed_from_any_position() {
    for (before, after) in [
        ("{\"mcpServers\": {\"stripe-projects\": {}, \"b\": 1}}", "{\"mcpServers\": {\"b\": 1}}"),
        ("{\"mcpServers\": {\"a\": 1, \"stripe-projects\": {}, \"b\": 1}}", "{\"mcpServers\": {\"a\": 1, \"b\": 1}}"),
        ("{\"mcpServers\": {\"a\": 1, \"stripe-projects\": {}}}", "{\"mcpServers\": {\"a\": 1}}"),
        (
            "{\"mcpServers\": {\n  // c\n  \"stripe-projects\": {}, // d\n  \"b\": 1\n}}",
            "{\"mcpServers\": {\n  // c\n  // d\n  \"b\": 1\n}}",
        ),
        ("{\"mcpServers\": {\n  // c\n  \"stripe-projects\": {} }}", "{\"mcpServers\": {\n  // c\n   }}"),
        (
            "{\"mcpServers\": {\n  \"a\": 1, // c\n  \"stripe-projects\": {}\n}}",
            "{\"mcpServers\": {\n  \"a\": 1 // c\n}}",
        ),
        ("{\"mcpServers\": {\n  \"stripe-projects\": {},\n}}", "{\"mcpServers\": {}}"),
        ("{\"mcpServers\": []}", ""),
        ("{}", "{}"),
        ("", ""),
    ] {
        match remove(Host::Cursor, before) {
            Ok(taken) => assert_eq!(taken, after, "{before}"),
            Err(error) => assert_eq!(error, ShapeError::NotATable { key: "mcpServers" }, "{before}"),
        }
    }
    for (before, after) in [
        ("[mcp_servers.stripe-projects]\ncommand = 'x'\n# about b\n[b]\n", "# about b\n[b]\n"),
        (
            "a = 1\n\n[mcp_servers.stripe-projects]\ncommand = 'x'\n[mcp_servers.stripe-projects.env]\nA = 'b'\n",
            "a = 1\n",
        ),
        ("[mcp_servers]\nstripe-projects = { command = 'x' } # ours\nb = {}\n", "[mcp_servers]\nb = {}\n"),
        ("a = 1\n", "a = 1\n"),
    ] {
        assert_eq!(remove(Host::Codex, before).unwrap(), after, "{before}");
    }
}

#[test]
fn malformed_file_is_refused() {
    let not = |key| ShapeError::NotATable { key };
    for (text, error) in [
        ("[]", not("the file")),
        ("1", not("the file")),
        ("{\"mcpServers\": []}", not("mcpServers")),
        ("{\"mcpServers\": null}", not("mcpServers")),
        ("{\"mcpServers\": {\"stripe-projects\": \"x\"}}", not("stripe-projects")),
        ("{\"mcpServers\": {}, \"mcpServers\": {}}", ShapeError::Duplicate),
        ("{\"mcpServers\": {\"stripe-projects\": {}, \"stripe\\u002dprojects\": {}}}", ShapeError::Duplicate),
        ("{\"mcpServers\": {\"stripe-projects\": {\"command\": 1, \"command\": 2}}}", ShapeError::Duplicate),
        ("{", ShapeError::Syntax { line: 1, column: 1 }),
        ("{\n  a: 1}", ShapeError::Syntax { line: 2, column: 3 }),
        ("{'a': 1}", ShapeError::Syntax { line: 1, column: 2 }),
        ("{} {}", ShapeError::Syntax { line: 1, column: 4 }),
    ] {
        assert_eq!(upsert(Host::Cursor, text, &entry()), Err(error), "{text}");
    }
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert!(matches!(upsert(Host::Cursor, &deep, &entry()), Err(ShapeError::Syntax { .. })));

    for (text, error) in [
        ("mcp_servers = []", not("mcp_servers")),
        ("[[mcp_servers]]\na = 1\n", not("mcp_servers")),
        ("mcp_servers = { b = {} }\n", ShapeError::Unusual),
        ("mcp_servers.stripe-projects = { args = [] }\n", ShapeError::Unusual),
        ("mcp_servers.stripe-projects = 1\n", not("stripe-projects")),
        ("a = 1\na = 2\n", ShapeError::Syntax { line: 2, column: 1 }),
        ("a = \n", ShapeError::Syntax { line: 1, column: 5 }),
    ] {
        assert_eq!(upsert(Host::Codex, text, &entry()), Err(error), "{text}");
    }
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(matches!(upsert(Host::Codex, &deep, &entry()), Err(ShapeError::Syntax { .. })));
}

/// Blanks and comments, as allowed between any two tokens.
fn gap() -> impl Strategy<Value = String> {
    let comment = prop_oneof!["//[ a-z\"{},:é]{0,6}\n", "//[ a-z\"{},:é]{0,6}\r\n", r"/\*[ a-z/\n\x22{},:]{0,6}\*/"];
    let blank = string_regex("[ \t\r\n]{0,4}").unwrap();
    prop_oneof![6 => blank, 1 => comment]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\"\\\\{}/é]{0,5}".prop_map(|text| json!(text).to_string()),
        "-?[1-9][0-9]{0,3}(\\.[0-9]{1,2})?(e[0-9])?",
        Just("null".to_owned()),
        Just("true".to_owned()),
    ]
}

/// A JSON value with comments and trailing commas.
fn node() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        let list = prop::collection::vec((gap(), inner.clone(), gap()), 0..4);
        let pairs = prop::collection::vec((gap(), "[a-z]{1,3}", gap(), inner, gap()), 0..4);
        prop_oneof![
            (list, any::<bool>(), gap()).prop_map(|(items, comma, end)| {
                let items: Vec<String> = items.into_iter().map(|(a, value, b)| format!("{a}{value}{b}")).collect();
                let comma = if comma && !items.is_empty() { "," } else { "" };
                format!("[{}{comma}{end}]", items.join(","))
            }),
            object(pairs.boxed()),
        ]
    })
}

type Pairs = BoxedStrategy<Vec<(String, String, String, String, String)>>;

fn object(pairs: Pairs) -> impl Strategy<Value = String> {
    (pairs, any::<bool>(), gap()).prop_map(|(pairs, comma, end)| {
        let pairs: Vec<String> =
            pairs.into_iter().map(|(a, key, b, value, c)| format!("{a}{}{b}:{value}{c}", json!(key))).collect();
        let comma = if comma && !pairs.is_empty() { "," } else { "" };
        format!("{{{}{comma}{end}}}", pairs.join(","))
    })
}

/// A file with other servers, with none, or without the section.
fn json_file() -> impl Strategy<Value = String> {
    let pairs = || prop::collection::vec((gap(), "[a-z]{1,3}", gap(), node(), gap()), 0..4).boxed();
    let servers = prop::option::of(object(pairs()));
    let rest = prop::collection::vec((gap(), "[a-z]{1,3}", gap(), node(), gap()), 0..3);
    let all = (servers, rest, 0..4_usize).prop_map(|(servers, mut rest, place)| {
        if let Some(servers) = servers {
            let place = place.min(rest.len());
            rest.insert(place, (" ".into(), "mcpServers".into(), " ".into(), servers, String::new()));
        }
        rest
    });
    (gap(), object(all.boxed()), gap()).prop_map(|(before, root, after)| [before, root, after].concat())
}

fn toml_file() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("# note [mcp_servers.stripe-projects]".to_owned()),
        Just(String::new()),
        "[a-z]{3} = [0-9]{1,3}( # x)?",
        "[a-z]{3} = '''x\ny'''",
        "[a-z]{3} = 1979-05-27",
        "[a-z]{3}\\.[a-z]{3} = \"[a-z]{0,3}\"",
        "\\[mcp_servers\\.[a-z]{3}\\]( # x)?",
        "\\[\\[[a-z]{2}\\]\\]",
        "  args = \\[ 'a', # b\n 1 \\]",
    ];
    let parts = (prop::collection::vec(line, 0..8), prop::bool::ANY, prop::bool::ANY);
    let text = parts.prop_map(|(lines, crlf, ended)| {
        let text = lines.join("\n") + if ended && !lines.is_empty() { "\n" } else { "" };
        if crlf { text.replace('\n', "\r\n") } else { text }
    });
    text.prop_filter("must be TOML", |text| toml::from_str::<toml::Table>(text).is_ok())
}

/// Returns whether `long` is `short` with insertions.
fn keeps(short: &str, long: &str) -> bool {
    let mut rest = long.chars();
    short.chars().all(|c| rest.any(|other| other == c))
}

proptest! {
    #[test]
    fn json_keeps_every_byte_and_is_reversible(text in json_file()) {
        let with = upsert(Host::Cursor, &text, &entry()).unwrap();
        prop_assert!(keeps(&text, &with), "{text:?}\n{with:?}");
        prop_assert_eq!(upsert(Host::Cursor, &with, &entry()).unwrap(), with.clone(), "once is enough");
        let without = remove(Host::Cursor, &with).unwrap();
        prop_assert!(keeps(&without, &with));
        // Only blanks may differ: those inside otherwise empty braces.
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let section = "\"mcpServers\":{}";
        let result = bare(&without);
        let back = result == bare(&text) || result.replacen(section, "", 1).replace(',', "") == bare(&text).replace(',', "");
        prop_assert!(back, "{text:?}\n{with:?}\n{without:?}");
    }

    #[test]
    fn toml_keeps_every_byte_and_is_reversible(text in toml_file()) {
        if let Ok(with) = upsert(Host::Codex, &text, &entry()) {
            prop_assert!(with.starts_with(&text));
            prop_assert_eq!(upsert(Host::Codex, &with, &entry()).unwrap(), with.clone());
            prop_assert_eq!(remove(Host::Codex, &with).unwrap(), text);
        }
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,40}", host in prop::sample::select(Host::ALL.to_vec())) {
        if let Ok(with) = upsert(host, &text, &entry()) {
            prop_assert!(remove(host, &with).is_ok());
        }
    }

    #[test]
    fn update_changes_only_our_fields(text in json_file(), words in prop::collection::vec("[a-z\"\\\\]{0,4}", 0..3)) {
        let other = Entry { command: "old".into(), args: words };
        let old = upsert(Host::Cursor, &text, &other).unwrap();
        prop_assert_eq!(upsert(Host::Cursor, &old, &entry()).unwrap(), upsert(Host::Cursor, &text, &entry()).unwrap());
    }
}

#[test]
fn strict_json_stays_strict() {
    let text = json!({ "a": [1, { "b": null }], "mcpServers": { "x": { "command": "y" } } });
    for text in [text.to_string(), serde_json::to_string_pretty(&text).unwrap()] {
        let read: Value = serde_json::from_str(&json_with(&text)).unwrap();
        assert_eq!(read["mcpServers"]["stripe-projects"]["command"], "/bin/x");
        assert_eq!(read["mcpServers"]["x"]["command"], "y");
    }
}
