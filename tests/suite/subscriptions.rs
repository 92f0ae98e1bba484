//! Changes reach a connected host without a restart, in both protocol eras.

#![expect(deprecated, reason = "a client of the legacy era subscribes as such clients do")]

use std::{fs, time::Duration};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, ReadResourceRequestParams, ResourceContents, ResourceUpdatedNotificationParam,
        ServerNotification, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{NotificationContext, RunningService, Subscription},
    transport::TokioChildProcess,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    client::{Client, Era},
    raw_client::{RawClient, until},
    workspace::Workspace,
};

const PROVIDERS: &str = "stripe-projects://providers";
const PROJECTS: &str = "stripe-projects://projects";
const WEB: &str = "stripe-projects://projects/web";

/// For each kind of edit: created, overwritten, replaced by a rename, broken, removed.
#[tokio::test]
async fn modern_client_is_notified_of_every_registry_edit() {
    let workspace = Workspace::new();
    let client = Client::connect(&workspace, Era::Modern).await;
    let filter = SubscriptionFilter::builder().tools_list_changed().resource_subscription(PROVIDERS).build();
    let mut notifications = client.0.listen(filter.clone()).await.unwrap();
    assert_eq!(*notifications.acknowledged(), filter);
    for (what, edit, named) in edits() {
        edit(&workspace);
        assert_eq!(next_in_stream(&mut notifications).await, "tools", "{what}");
        assert_eq!(next_in_stream(&mut notifications).await, PROVIDERS, "{what}");
        let tools = client.0.list_tools(None).await.unwrap().tools;
        let provision = json!(tools.iter().find(|tool| tool.name == "provision").unwrap().input_schema);
        assert!(provision["properties"]["provider"]["description"].as_str().unwrap().contains(named), "{provision}");
    }
}

#[tokio::test]
async fn legacy_client_is_notified_of_registry_edits() {
    let workspace = Workspace::new();
    let (client, mut notifications) = connect_legacy(&workspace).await;
    client.subscribe(SubscribeRequestParams::new(PROVIDERS)).await.unwrap();
    for (what, edit, named) in edits() {
        edit(&workspace);
        assert_eq!(next_notification(&mut notifications).await, "tools", "{what}");
        assert_eq!(next_notification(&mut notifications).await, PROVIDERS, "{what}");
        let tools = json!(client.list_tools(None).await.unwrap());
        assert!(tools.to_string().contains(named), "{what}");
    }
    client.unsubscribe(UnsubscribeRequestParams::new(PROVIDERS)).await.unwrap();
    workspace.write("providers.toml", registry("zebra"));
    assert_eq!(next_notification(&mut notifications).await, "tools");
    // The next notification is about something else: the unsubscribed resource caused none.
    workspace.write("providers.toml", registry("zeppelin"));
    assert_eq!(next_notification(&mut notifications).await, "tools");
}

#[tokio::test]
async fn legacy_subscriber_is_notified_of_project_changes() {
    let workspace = Workspace::new();
    let (client, mut notifications) = connect_legacy(&workspace).await;
    for uri in [PROJECTS, WEB] {
        client.subscribe(SubscribeRequestParams::new(uri)).await.unwrap();
    }
    for (tool, arguments) in lifecycle_calls() {
        let arguments = arguments.as_object().unwrap().clone();
        client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
        assert_eq!(
            (
                next_notification(&mut notifications).await.as_str(),
                next_notification(&mut notifications).await.as_str()
            ),
            (PROJECTS, WEB),
            "{tool}"
        );
    }
}

#[tokio::test]
async fn modern_subscriber_is_notified_of_project_changes() {
    let workspace = Workspace::new();
    let client = Client::connect(&workspace, Era::Modern).await;
    let filter = SubscriptionFilter::builder().resource_subscriptions([PROJECTS, WEB, "file:///etc/passwd"]).build();
    let mut stream = client.0.listen(filter).await.unwrap();
    let accepted = stream.acknowledged().resource_subscriptions.clone().unwrap();
    assert_eq!(accepted, [PROJECTS, WEB], "unknown resources are not acknowledged");
    for (tool, arguments) in lifecycle_calls() {
        client.ok(tool, arguments).await;
        assert_eq!(
            (next_in_stream(&mut stream).await.as_str(), next_in_stream(&mut stream).await.as_str()),
            (PROJECTS, WEB),
            "{tool}"
        );
    }
    // A refusal changes nothing, so the next notification is about the next change.
    client.call_refused("provision", json!({ "name": "web", "provider": "nothing" })).await;
    client.ok("provision", json!({ "name": "other", "provider": "search" })).await;
    assert_eq!(next_in_stream(&mut stream).await, PROJECTS);
    client.ok("provision", json!({ "name": "web", "provider": "llm" })).await;
    assert_eq!(
        (next_in_stream(&mut stream).await.as_str(), next_in_stream(&mut stream).await.as_str()),
        (PROJECTS, WEB)
    );
}

/// The policy outside the workspace is part of the effective registry.
#[tokio::test]
async fn policy_edit_counts_as_a_registry_edit() {
    let workspace = Workspace::new();
    let (client, mut notifications) = connect_legacy(&workspace).await;
    client.subscribe(SubscribeRequestParams::new(PROVIDERS)).await.unwrap();
    let configuration = workspace.home().join(".config/stripe-projects");
    fs::create_dir_all(&configuration).unwrap();
    fs::write(configuration.join("policy.toml"), "[providers.search]\nmax_cap_usd = 3\n").unwrap();
    assert_eq!(
        (next_notification(&mut notifications).await.as_str(), next_notification(&mut notifications).await.as_str()),
        ("tools", PROVIDERS)
    );
    let providers = client.read_resource(ReadResourceRequestParams::new(PROVIDERS)).await.unwrap();
    let ResourceContents::TextResourceContents { text, .. } = &providers.contents[0] else { panic!("{providers:?}") };
    let providers: Value = serde_json::from_str(text).unwrap();
    let search = providers["providers"].as_array().unwrap().iter().find(|provider| provider["key"] == "search");
    assert_eq!(search.unwrap()["max_cap_usd"], 3.0);
}

/// Another process records the usage.
#[tokio::test]
async fn alert_notifies_subscribers_of_its_project() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "web", "search", "--cap", "10"]);
    let (client, mut notifications) = connect_legacy(&workspace).await;
    client.subscribe(SubscribeRequestParams::new(WEB)).await.unwrap();
    workspace.ok(&["usage", "record", "web", "5"]);
    assert_eq!(next_notification(&mut notifications).await, WEB);
    let modern = Client::connect(&workspace, Era::Modern).await;
    let filter = SubscriptionFilter::builder().resource_subscriptions([WEB]).build();
    let mut stream = modern.0.listen(filter).await.unwrap();
    workspace.ok(&["usage", "record", "web", "3"]);
    assert_eq!(
        (next_in_stream(&mut stream).await.as_str(), next_notification(&mut notifications).await.as_str()),
        (WEB, WEB)
    );
}

#[tokio::test]
async fn immutable_resource_cannot_be_subscribed_to() {
    let workspace = Workspace::new();
    let (client, _notifications) = connect_legacy(&workspace).await;
    for uri in ["stripe-projects://audit", "stripe-projects://projects/Wrong Name", "file:///etc/passwd", ""] {
        let answer = client.subscribe(SubscribeRequestParams::new(uri)).await;
        assert_eq!(crate::client::code(answer), -32002, "{uri}");
    }
    for number in 0..256 {
        client.subscribe(SubscribeRequestParams::new(format!("{PROJECTS}/p{number}"))).await.unwrap();
    }
    assert_eq!(crate::client::code(client.subscribe(SubscribeRequestParams::new(PROJECTS)).await), -32602);
}

/// The protocol forbids notifications to a modern session without a stream.
#[test]
fn modern_session_without_a_stream_is_not_notified() {
    let workspace = Workspace::new();
    let mut client = RawClient::open(&workspace);
    let meta = modern_meta();
    client.request("server/discover", &json!({ "_meta": meta }));
    workspace.write("providers.toml", registry("almanac"));
    // The server of a second client shows when the notification is out.
    let mut other = RawClient::initialize(&workspace);
    workspace.write("providers.toml", registry("zebra"));
    until("the news", || {
        notifications(&other).iter().any(|method| method == "notifications/tools/list_changed").then_some(())
    });
    let listed = client.request("tools/list", &json!({ "_meta": meta }));
    assert!(listed.to_string().contains("zebra"), "{listed}");
    std::thread::sleep(Duration::from_millis(1_100)); // a whole polling interval of the watcher
    client.request("tools/list", &json!({ "_meta": meta }));
    assert_eq!(notifications(&client), Vec::<String>::new());
    other.request("ping", &json!({}));
}

/// An open stream does not delay the end, and is closed as the protocol requires.
#[test]
fn stream_ends_with_the_server() {
    let workspace = Workspace::new();
    let mut client = RawClient::open(&workspace);
    let meta = modern_meta();
    let id =
        client.send("subscriptions/listen", &json!({ "_meta": meta, "notifications": { "toolsListChanged": true } }));
    until("the acknowledgment", || {
        notifications(&client).iter().any(|method| method == "notifications/subscriptions/acknowledged").then_some(())
    });
    let started = std::time::Instant::now();
    let output = client.disconnect();
    assert!(started.elapsed() < Duration::from_secs(4), "rmcp alone would wait for five seconds");
    assert_eq!(output.code, 0);
    assert!(output.response(id)["error"].is_null(), "{output:?}");
}

/// Returns the metadata with which a modern client identifies itself in each request.
fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "lines", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn lifecycle_calls() -> [(&'static str, Value); 3] {
    let named = json!({ "name": "web" });
    let arguments = json!({ "name": "web", "provider": "search" });
    [("provision", arguments), ("rotate_key", named.clone()), ("teardown", named)]
}

type Edit = fn(&Workspace);

fn edits() -> [(&'static str, Edit, &'static str); 5] {
    [
        ("made", |workspace| workspace.write("providers.toml", registry("almanac")), "almanac"),
        ("written over", |workspace| workspace.write("providers.toml", registry("climate")), "climate"),
        (
            "renamed into its place",
            |workspace| {
                workspace.write("new.toml", registry("meteo12"));
                fs::rename(workspace.file("new.toml"), workspace.file("providers.toml")).unwrap();
            },
            "meteo12",
        ),
        ("broken", |workspace| workspace.write("providers.toml", "version = "), PROVIDERS),
        ("taken away", |workspace| fs::remove_file(workspace.file("providers.toml")).unwrap(), "supermemory"),
    ]
}

fn registry(key: &str) -> String {
    format!(
        "version = 1\n[providers.{key}]\nlabel = 'A'\nservice = 'a/api'\nenv_var = 'A_KEY'\ndefault_cap_usd = 5\n\
         docs = 'https://example.com'\n"
    )
}

/// Forwards each notification.
struct NotificationListener(UnboundedSender<String>);

impl ClientHandler for NotificationListener {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send("tools".to_owned()).unwrap();
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.send(params.uri).unwrap();
    }
}

async fn connect_legacy(
    workspace: &Workspace,
) -> (RunningService<RoleClient, NotificationListener>, UnboundedReceiver<String>) {
    let command = tokio::process::Command::from(workspace.command(&["serve"]));
    let (sender, notifications) = unbounded_channel();
    (NotificationListener(sender).serve(TokioChildProcess::new(command).unwrap()).await.unwrap(), notifications)
}

async fn next_notification(notifications: &mut UnboundedReceiver<String>) -> String {
    tokio::time::timeout(TIMEOUT, notifications.recv()).await.expect("no news").unwrap()
}

async fn next_in_stream(notifications: &mut Subscription) -> String {
    let news = tokio::time::timeout(TIMEOUT, notifications.next()).await.expect("no news").unwrap().unwrap();
    match news {
        ServerNotification::ToolListChangedNotification(_) => "tools".to_owned(),
        ServerNotification::ResourceUpdatedNotification(update) => update.params.uri,
        other => panic!("{other:?}"),
    }
}

/// Returns the methods of all messages that are no responses.
fn notifications(client: &RawClient) -> Vec<String> {
    let unasked = client.messages().into_iter().filter(|message: &Value| message.get("id").is_none());
    unasked.map(|message| message["method"].as_str().unwrap().to_owned()).collect()
}

const TIMEOUT: Duration = Duration::from_secs(60);
