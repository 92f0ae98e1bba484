//! Real money only in a workspace that a person has connected, whatever a host's entry says.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    raw_client::RawClient,
    workspace::{BINARY, BackendKind, CommandOutput, Workspace},
};

/// The flags and variables of a host's entry.
type Entry = (Vec<String>, Vec<(&'static str, String)>);

#[test]
fn server_without_a_connection_buys_nothing() {
    for kind in REAL {
        let workspace = Workspace::on(kind);
        workspace.ok(&["provision", "mine", "tts"]); // a person needs no connection
        let before = requests(&workspace);
        let mut agent = agent(server(&workspace, &[]));
        for (tool, arguments) in [
            ("provision", json!({ "name": "web", "provider": "search" })),
            ("rotate_key", json!({ "name": "mine" })),
            ("teardown", json!({ "name": "mine" })),
        ] {
            let error = agent.call(tool, &arguments);
            assert_eq!(error["code"], "workspace_not_connected", "{kind:?} {tool}: {error}");
            let command = format!("`stripe-projects-mcp connect {}`", name(kind));
            let shown = format!("show this to the user, do not run it: {command}");
            assert!(error["hint"].as_str().unwrap().contains(&shown), "{error}");
        }
        assert_eq!(agent.call("list_projects", &json!({}))["live_count"], 1, "the ledger can be read");
        assert_eq!(requests(&workspace), before, "{kind:?}: something was asked");

        // A person connects, and the running server follows.
        workspace.ok(&["connect", name(kind), "--yes"]);
        let bought = agent.call("provision", &json!({ "name": "web", "provider": "supermemory" }));
        assert_eq!(bought["status"], "active", "{kind:?}: {bought}");
        agent.disconnect();
        assert_eq!(workspace.billed_resources().len(), 2);
    }
}

#[test]
fn host_entry_cannot_choose_a_ledger_with_a_connection() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.connect();
    let trap = Trap::new();
    let elsewhere = workspace.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let shipped = workspace.file("shipped");
    copy_folder(&workspace.state(), &shipped);
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let entries: [Entry; 5] = [
        (vec!["--state-dir".to_owned(), text(&elsewhere.join("state"))], vec![]),
        (vec![], vec![("STRIPE_PROJECTS_STATE_DIR", text(&elsewhere.join("state")))]),
        (vec![], vec![("XDG_STATE_HOME", text(&elsewhere))]),
        (vec!["--state-dir".to_owned(), text(&shipped)], vec![]),
        (vec!["--dir".to_owned(), text(&elsewhere)], vec![]), // a clone or a work tree without a connection
    ];
    for (flags, variables) in entries {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut command = server(&workspace, &flags);
        command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &trap.base);
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        refuses_to_buy(command, &format!("{flags:?} {variables:?}"));
    }
    assert_eq!(trap.connections(), 0);
    assert!(workspace.billed_resources().is_empty());
}

/// The folders share the ledger, the backend and its address.
#[test]
fn connection_holds_for_one_workspace_only() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.connect();
    let clone = workspace.root().join("clone");
    fs::create_dir(&clone).unwrap();
    for _ in 0..2 {
        let mut command = server(&workspace, &[]);
        command.current_dir(&clone);
        refuses_to_buy(command, "a clone");
    }
    assert!(workspace.billed_resources().is_empty());
    let mut inside = agent(server(&workspace, &[]));
    assert_eq!(inside.call("provision", &json!({ "name": "web", "provider": "tts" }))["status"], "active");
    inside.disconnect();
}

#[test]
fn host_entry_cannot_choose_an_address_or_key() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    workspace.connect();
    // Another address of this machine is not the recorded one.
    let trap = Trap::new();
    for by_flag in [true, false] {
        let flags = ["--stripe-api-base", trap.base.as_str()];
        let mut command = server(&workspace, if by_flag { &flags } else { &[] });
        command.env("STRIPE_PROJECTS_STRIPE_API_BASE", &trap.base);
        refuses_to_buy(command, "another loopback address");
    }
    assert_eq!(trap.connections(), 0);
    assert!(workspace.billed_resources().is_empty());

    // An address elsewhere and a key file do not count, which the server says; the recorded ones do.
    workspace.allow_planted_keys();
    workspace.write("key", "rk_test_9999999999");
    let flags = ["--stripe-api-base", "https://stripe.example", "--stripe-api-key-file", "key", "--accept-tos"];
    let mut agent = agent(server(&workspace, &flags));
    let bought = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
    assert_eq!(bought["status"], "active", "{bought}");
    let errors = agent.disconnect().stderr;
    for flag in ["--stripe-api-base", "--stripe-api-key-file", "--accept-tos"] {
        assert!(errors.contains(flag), "{flag}: {errors}");
    }
    assert!(errors.contains("do not count in a server"), "{errors}");
}

#[test]
fn host_entry_cannot_choose_a_program() {
    let workspace = Workspace::on(BackendKind::StripeCli);
    let (evil, trace) = (workspace.file("stripe"), workspace.root().join("trace"));
    fs::write(&evil, format!("#!/bin/sh\ntouch '{}'\n", trace.display())).unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", workspace.path().display(), std::env::var("PATH").unwrap());
    for connected in [false, true] {
        if connected {
            workspace.connect();
        }
        for flags in [&["--stripe-bin", "./stripe"][..], &[]] {
            let mut command = server(&workspace, flags);
            command.env("STRIPE_PROJECTS_STRIPE_BIN", &evil).env("PATH", &path);
            let mut agent = agent(command);
            let name = format!("web{}", workspace.billed_resources().len());
            let answer = agent.call("provision", &json!({ "name": name, "provider": "tts" }));
            let outcome = if connected { &answer["status"] } else { &answer["code"] };
            assert_eq!(*outcome, if connected { "active" } else { "workspace_not_connected" }, "{flags:?}: {answer}");
            agent.disconnect();
        }
    }
    assert_eq!(workspace.billed_resources().len(), 2);
    // The process that ends a session was started by the server, with the same flags.
    let mut reaper = bare(&workspace, &["reap", "--by-host", "--stripe-bin", "./stripe"]);
    reaper.env("STRIPE_PROJECTS_STRIPE_BIN", &evil).env("PATH", &path);
    let output = CommandOutput::from(reaper.output().unwrap());
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!trace.exists(), "the program of the host's entry ran");
}

#[test]
fn terms_count_only_as_a_person_accepted_them() {
    for (accepted, outcome) in [(false, "terms_not_accepted"), (true, "active")] {
        let workspace = Workspace::on(BackendKind::StripeApi);
        let mut connect = bare(&workspace, &["connect", "stripe-api", "--yes"]);
        connect.args(accepted.then_some("--accept-tos"));
        assert!(connect.output().unwrap().status.success());
        let mut agent = agent(server(&workspace, &["--accept-tos"]));
        let answer = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
        assert!(answer["status"] == outcome || answer["code"] == outcome, "{accepted}: {answer}");
        agent.disconnect();
    }
}

#[test]
fn env_file_of_a_server_is_inside_the_workspace() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.file("sub")).unwrap();
    for outside in ["../.env", "sub/../../.env", "/tmp/.env", "/proc/self/cwd/../.env", "absent/../../.env"] {
        for by_flag in [true, false] {
            let flags = ["--env-file", outside];
            let mut command = server(&workspace, if by_flag { &flags } else { &[] });
            command.env("STRIPE_PROJECTS_ENV_FILE", outside);
            let output = CommandOutput::from(command.output().unwrap());
            assert_eq!(output.code, 3, "{outside}: {output:?}");
            assert!(output.stderr.contains("inside the workspace"), "{outside}: {output:?}");
        }
    }
    workspace.allow_env_file("sub/keys.env");
    let mut inside = agent(server(&workspace, &["--env-file", "sub/keys.env"]));
    assert_eq!(inside.call("provision", &json!({ "name": "web", "provider": "search" }))["status"], "active");
    inside.disconnect();
    assert!(workspace.read("sub/keys.env").contains("EXA_API_KEY="));
}

#[test]
fn connect_without_a_terminal_prints_what_is_missing() {
    let workspace = Workspace::on(BackendKind::StripeApi);
    let simulator = workspace.simulator().base.clone();
    let output = workspace.run(&["connect", "stripe-api"]);
    assert_eq!(output.code, 3, "{output:?}");
    let plan: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(plan["missing"], json!(["confirmation"]), "{plan}");
    assert_eq!((&plan["backend"], &plan["api_base"]), (&json!("stripe-api"), &json!(simulator)), "{plan}");
    assert_eq!(plan["connected"], json!(null), "nothing was recorded: {plan}");
    let by_flag = workspace.run(&["connect", "--backend", "stripe-api"]);
    assert_eq!(serde_json::from_str::<Value>(&by_flag.stdout).unwrap(), plan, "the backend of the flag is the default");

    let connected = workspace.json(&["connect", "stripe-api", "--yes"]);
    assert_eq!(
        (&connected["api_base"], &connected["terms_accepted"]),
        (&json!(simulator), &json!(true)),
        "{connected}"
    );
    let plan: Value = serde_json::from_str(&workspace.run(&["connect", "stripe-api"]).stdout).unwrap();
    assert_eq!(plan["connected"]["api_base"], json!(simulator), "{plan}");
    let doctor = workspace.ok(&["doctor"]).stdout;
    assert!(doctor.contains(&format!("servers use stripe-api at {simulator}")), "{doctor}");
    let audit = workspace.ok(&["audit", "--json", "--outcome", "done"]).stdout;
    assert!(audit.contains(r#""connect""#) && audit.contains(&simulator), "{audit}");

    let nothing = Workspace::new();
    let plan: Value = serde_json::from_str(&nothing.run(&["connect", "--yes"]).stdout).unwrap();
    assert_eq!(plan["missing"], json!(["backend"]), "{plan}");
    let missing = nothing.run(&["connect", "stripe-cli", "--yes", "--stripe-bin", "/nowhere/stripe"]);
    let plan: Value = serde_json::from_str(&missing.stdout).unwrap();
    assert_eq!((missing.code, &plan["missing"]), (3, &json!(["program"])), "{plan}");
}

#[test]
fn lost_ledger_is_found_and_adopted() {
    for kind in BackendKind::ALL {
        let workspace = Workspace::on(kind);
        workspace.ok(&["provision", "memory", "supermemory"]);
        workspace.ok(&["provision", "web", "tts"]);
        let old = workspace.variable("ELEVENLABS_API_KEY").unwrap();
        let billed = workspace.billed_resources();
        lose_ledger(&workspace);
        fs::remove_file(workspace.file(".env")).unwrap();

        if kind != BackendKind::Simulated {
            let plan: Value = serde_json::from_str(&workspace.run(&["connect", name(kind)]).stdout).unwrap();
            assert_eq!(plan["lost"].as_array().unwrap().len(), 2, "{kind:?}: {plan}");
        }
        let doctor = workspace.run(&["doctor"]);
        assert_eq!(doctor.code, 1, "{kind:?}: {doctor:?}");
        for resource in &billed {
            assert!(doctor.stdout.contains(resource), "{kind:?}: {resource}: {doctor:?}");
        }
        let repaired = workspace.json(&["doctor", "--repair"]);
        assert_eq!(repaired["repaired"].as_array().unwrap().len(), 2, "{kind:?}: {repaired:#}");
        assert_eq!(repaired["repaired"][0]["error"], json!(null), "{kind:?}: {repaired:#}");

        let list = workspace.json(&["list"]);
        let names: Vec<&str> =
            list["projects"].as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["memory", "web"], "{kind:?}: {list:#}");
        assert_eq!(workspace.billed_resources(), billed, "nothing was bought or removed");
        assert_eq!(workspace.read(".env"), "", "nothing was delivered");
        assert!(workspace.owner_of(&old).is_some(), "the key that a program has loaded still works");

        workspace.ok(&["rotate", "web"]);
        let new = workspace.variable("ELEVENLABS_API_KEY").unwrap();
        assert!(workspace.owner_of(&old).is_none() && workspace.owner_of(&new).is_some(), "{kind:?}");
        workspace.ok(&["teardown", "--all", "--yes"]);
        assert!(workspace.billed_resources().is_empty(), "{kind:?}");
        workspace.ok(&["audit", "--verify"]);
    }
}

/// A listener that no request may reach.
struct Trap {
    base: String,
    listener: TcpListener,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { base: format!("http://{}", listener.local_addr().unwrap()), listener }
    }

    fn connections(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
}

fn refuses_to_buy(mut command: Command, case: &str) {
    command.stderr(Stdio::piped());
    let mut agent = agent(command);
    let error = agent.call("provision", &json!({ "name": "web", "provider": "search" }));
    let code = error["code"].as_str().unwrap_or_else(|| panic!("{case}: {error}"));
    let refusals =
        ["workspace_not_connected", "state_folder_inside", "workspace_too_wide", "state_folder_in_workspace"];
    assert!(refusals.contains(&code), "{case}: {error}");
    agent.disconnect();
}

fn agent(command: Command) -> RawClient {
    let mut agent = RawClient::start(command);
    agent.initialize_as("agent");
    agent
}

/// A server that a host's entry starts, without a connection of the fixture.
fn server(workspace: &Workspace, flags: &[&str]) -> Command {
    let mut command = bare(workspace, &["serve"]);
    command.args(flags);
    command
}

fn bare(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    workspace.prepare(&mut command);
    command.args(arguments).current_dir(workspace.path()).stdin(Stdio::null());
    command
}

/// What the backend was asked so far.
fn requests(workspace: &Workspace) -> usize {
    match workspace.kind() {
        BackendKind::StripeCli => workspace.fake_stripe().calls().len(),
        // Each request of a write leaves its answer.
        BackendKind::Simulated | BackendKind::StripeApi => workspace.billed_resources().len(),
    }
}

fn lose_ledger(workspace: &Workspace) {
    for entry in fs::read_dir(workspace.state()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("ledger") || name.starts_with("audit") {
            fs::remove_file(path).unwrap();
        } else if name == "stripe-cli" {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

fn copy_folder(from: &PathBuf, to: &PathBuf) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn name(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Simulated => "simulated",
        BackendKind::StripeApi => "stripe-api",
        BackendKind::StripeCli => "stripe-cli",
    }
}

const REAL: [BackendKind; 2] = [BackendKind::StripeApi, BackendKind::StripeCli];
