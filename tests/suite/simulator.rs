//! The simulator keeps to Stripe's Provisioning API; `tests/clients/stripe_sdk` runs Stripe's own library against it.

use domain::{clock::Timestamp, project::ProjectId};
use reqwest::Method;
use serde_json::{Value, json};
use stripe_projects_mcp::settings::simulated_store;

use crate::{
    simulator_client::{Response, Simulator, VERSION},
    workspace::Workspace,
};

#[test]
fn authentication_and_version_are_required() {
    let here = Simulator::start();
    let ask = |key: Option<&str>, version: Option<&str>| {
        let request = here.bare_request(Method::GET, "eligibility");
        let request = key.into_iter().fold(request, |request, key| request.header("authorization", key));
        here.send(version.into_iter().fold(request, |request, version| request.header("stripe-version", version)))
    };
    for key in [None, Some("Bearer pk_test_x"), Some("Bearer rk_test_"), Some("Basic rk_test_x")] {
        let answer = ask(key, Some(VERSION)).unwrap();
        assert_eq!((answer.status, answer.text_at("/error/type")), (401, "invalid_request_error"), "{key:?}");
    }
    for version in [None, Some("2025-01-01")] {
        let answer = ask(Some("Bearer rk_test_x"), version).unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text_at("/error/message").contains(VERSION));
    }
    for (key, livemode) in [("rk_test_x", false), ("sk_test_x", false), ("rk_live_x", true), ("sk_live_x", true)] {
        let answer = ask(Some(&format!("Bearer {key}")), Some(VERSION)).unwrap();
        assert_eq!((answer.status, &answer.body["livemode"]), (200, &json!(livemode)));
        assert!(answer.header("request-id").starts_with("req_"));
    }
}

#[test]
fn invalid_request_names_the_parameter() {
    let here = Simulator::start();
    let memory = |configuration: Value| json!({ "provider": "Supermemory", "service_ref": "memory", "configuration": configuration });
    for (body, code, param) in [
        (json!({ "service_ref": "memory", "configuration": {} }), "parameter_missing", "provider"),
        (json!({ "provider": 1, "service_ref": "memory" }), "parameter_invalid", "provider"),
        (json!({ "provider": "unknown", "service_ref": "memory" }), "resource_missing", "provider"),
        (json!({ "provider": "exa", "service_ref": "memory" }), "resource_missing", "service_ref"),
        (json!({ "provider": "exa", "service_ref": "api" }), "parameter_missing", "configuration"),
        (memory(json!({})), "parameter_missing", "configuration.plan"),
        (memory(json!({ "plan": "gold" })), "parameter_invalid", "configuration.plan"),
        (json!({ "provider": "exa", "service_ref": "api", "configuration": {}, "cap": 5 }), "parameter_unknown", "cap"),
    ] {
        let answer = here.post("resources", &body);
        assert_eq!((answer.error(), answer.text_at("/error/param")), ((400, code), param), "{body}");
        assert!(answer.text_at("/error/message").contains(param));
    }
    assert_eq!(here.get("catalog/services?limti=1").error(), (400, "parameter_unknown"));
    assert_eq!(here.get("nothing").error(), (404, "url_unrecognized"));
    assert_eq!(here.get("resources/fres_none").error(), (404, "resource_missing"));
    assert_eq!(here.resources(), 0);

    let send = |kind: &str, body: Vec<u8>| {
        here.send(here.request(Method::POST, "projects").header("content-type", kind).body(body)).unwrap()
    };
    assert_eq!(send("application/x-www-form-urlencoded", b"name=x".to_vec()).error(), (400, "content_type_invalid"));
    assert_eq!(send("application/json", b"[]".to_vec()).error(), (400, "invalid_json"));
    assert_eq!(send("application/json", vec![b' '; 1024 * 1024 + 1]).error(), (413, "body_too_large"));
    let elsewhere = here.request(Method::GET, "eligibility").header("host", "evil.example");
    assert_eq!(here.send(elsewhere).unwrap().error(), (403, "host_not_loopback"));
}

#[test]
fn request_content_is_not_repeated() {
    let here = Simulator::start();
    let secret = "sk_live_0123456789abcdef0123456789";
    for answer in [
        here.get(&format!("resources/{secret}")),
        here.get(&format!("{secret}/x")),
        here.post("projects", &json!({ "name": "x", secret: 1 })),
        here.post("projects", &json!({ "name": "x", "catalog": secret })),
        here.post("resources", &json!({ "provider": secret, "service_ref": secret })),
        here.post("payment_method_requests", &json!({ "source_payment_method": "4242424242424242" })),
    ] {
        assert!(answer.status >= 400, "{answer:?}");
        assert!(!answer.text.contains(secret) && !answer.text.contains("4242"), "{answer:?}");
    }
    let key = here.request(Method::GET, "eligibility").bearer_auth(secret);
    assert_eq!(here.send(key).unwrap().status, 200);
    for file in here.workspace.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", file.display());
    }
}

#[test]
fn catalog_is_paged() {
    let here = Simulator::start();
    for (list, total) in [("services", 23), ("providers", 13)] {
        let (mut ids, mut pages) = (Vec::new(), 0);
        let mut next = Some(format!("/v2/provisioning/catalog/{list}?catalog=prod"));
        while let Some(url) = next {
            let page = here.get(&url);
            assert!(page.body["data"].as_array().unwrap().len() <= 10);
            assert_eq!(page.body["previous_page_url"].is_null(), pages == 0);
            ids.extend(page.body["data"].as_array().unwrap().iter().map(|row| row["id"].clone().to_string()));
            next = page.body["next_page_url"].as_str().map(str::to_owned);
            assert!(next.as_ref().is_none_or(|url| url.contains("catalog=prod") && url.contains("limit=10")));
            pages += 1;
        }
        let listed = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), listed), (total, total));
        assert!(pages > 1);
    }
    let some = here.get("catalog/services?provider_name=OpenRouter&limit=2");
    assert_eq!(some.body["data"].as_array().unwrap().len(), 2);
    let rest = here.get(some.text_at("/next_page_url"));
    assert_eq!(rest.body["data"][0]["provider_name"], "OpenRouter");
    assert!(rest.body["next_page_url"].is_null());
    assert_eq!(here.get("catalog/services?page=x").error(), (400, "parameter_invalid"));
    assert_eq!(here.get("catalog/services?limit=0").error(), (400, "parameter_invalid"));
}

#[test]
fn resource_lifecycle() {
    let here = Simulator::start();
    let project = here.post("projects", &json!({ "name": "demo" }));
    let request = json!({
        "provider": "supermemory", "service_ref": "memory", "configuration": { "plan": "pro" },
        "project": project.text_at("/id"), "name": "memory", "environment": "prod",
    });
    let order = "proj_0123456789abcdef01234567";
    let created = here.post_as(&format!("provision-{order}"), "resources", &request);
    let id = created.text_at("/id").to_owned();
    assert_eq!(
        (created.text_at("/status"), created.text_at("/environment"), created.text_at("/name")),
        ("complete", "prod", "memory")
    );
    let of_order = here.workspace.world().observe_order(&ProjectId::from_stored(order.to_owned())).unwrap();
    assert_eq!(of_order[0].resource.as_str(), id);

    let reveal = || here.post(&format!("resources/{id}/reveal_access_configuration"), &json!({})).body;
    let first = reveal();
    assert_eq!(first["configuration"].as_object().unwrap().keys().collect::<Vec<_>>(), ["API_KEY", "PROJECT_ID"]);
    assert_eq!(reveal(), first, "a reveal creates nothing");
    assert_eq!(here.owner_of(&first["configuration"]["API_KEY"]).as_deref(), Some(id.as_str()));

    assert_eq!(here.post(&format!("resources/{id}/rotate_credentials"), &json!({})).text_at("/status"), "complete");
    let second = reveal();
    assert_eq!(here.owner_of(&first["configuration"]["API_KEY"]), None, "the old key is revoked");
    assert_eq!(here.owner_of(&second["configuration"]["API_KEY"]).as_deref(), Some(id.as_str()));
    let time = |revealed: &Value| revealed["created"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time(&second) >= time(&first)); // compared as times: as text, fewer decimals would sort later

    let updated = here.post(&format!("resources/{id}"), &json!({ "configuration": { "plan": "max" } }));
    assert_eq!(updated.text_at("/service_ref"), "memory");
    assert_eq!(here.post(&format!("resources/{id}"), &json!({ "configuration": {} })).status, 400);

    for _ in 0..2 {
        assert_eq!(here.post(&format!("resources/{id}/remove"), &json!({})).text_at("/status"), "removed");
    }
    assert_eq!(here.get(&format!("resources/{id}")).text_at("/status"), "removed");
    assert_eq!(here.owner_of(&second["configuration"]["API_KEY"]), None);
    for gone in ["reveal_access_configuration", "rotate_credentials", "unlink"] {
        assert_eq!(here.post(&format!("resources/{id}/{gone}"), &json!({})).error(), (404, "resource_missing"));
    }
    assert_eq!(here.resources(), 0);
}

#[test]
fn resource_of_the_simulated_backend_is_visible() {
    let workspace = Workspace::new();
    workspace.ok(&["provision", "memory", "supermemory"]);
    let key = json!(workspace.variable("SUPERMEMORY_API_KEY").unwrap());
    let here = Simulator::start_in(workspace, &[]);
    let id = here.owner_of(&key).unwrap();
    let response = here.get(&format!("resources/{id}"));
    assert_eq!((response.text_at("/status"), response.text_at("/service_ref")), ("complete", "memory"));
    here.post(&format!("resources/{id}/rotate_credentials"), &json!({}));
    assert_eq!(here.owner_of(&key), None);
    // Conversely, a resource without its own cap does not change the cap of this one.
    create(&here, "supermemory", "memory", &json!({ "plan": "pro" }));
    here.workspace.ok(&["usage", "record", "memory", "25"]);
    assert_eq!(here.workspace.json(&["list"])["projects"][0]["status"], "suspended");
    here.workspace.ok(&["teardown", "memory", "--yes"]);
    assert_eq!(here.resources(), 1);
}

#[test]
fn simulated_data_of_the_first_schema_is_migrated() {
    let workspace = Workspace::new();
    workspace.create_state();
    let old = rusqlite::Connection::open(simulated_store(&workspace.state())).unwrap();
    old.execute_batch(include_str!("../../crates/backends/src/simulated/schema_1.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO resources VALUES (1, 'fres_sim_old', 'proj_old', 'x', 'exa/api', 'exa', 'active', 5, 0, 1);
         INSERT INTO credentials VALUES (1, 'API_KEY', x'000102030405060708090a0b0c0d0e0f');
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let here = Simulator::start_in(workspace, &[]);
    let response = here.get("resources/fres_sim_old");
    assert_eq!((response.text_at("/status"), response.text_at("/created")), ("complete", "1970-01-01T00:00:00Z"));
    let revealed = here.post("resources/fres_sim_old/reveal_access_configuration", &json!({}));
    assert_eq!(revealed.text_at("/configuration/API_KEY"), "sk_proj_sim_000102030405060708090a0b0c0d0e0f");
}

#[test]
fn link_and_unlink_change_only_the_connection() {
    let here = Simulator::start();
    let linked = here.post("resources/link", &json!({ "provider": "neon", "service_ref": "postgres" }));
    let id = linked.text_at("/id");
    let revealed = here.post(&format!("resources/{id}/reveal_access_configuration"), &json!({}));
    assert_eq!(here.post(&format!("resources/{id}/unlink"), &json!({})).text_at("/status"), "complete");
    assert_eq!(here.get(&format!("resources/{id}")).error(), (404, "resource_missing"));
    let key = &revealed.body["configuration"]["CONNECTION_STRING"];
    assert_eq!(here.owner_of(key).as_deref(), Some(id), "the provider keeps it running");
}

#[test]
fn unconnected_provider_needs_a_person() {
    let here = Simulator::start_in(Workspace::new(), &["--unlinked", "exa"]);
    let resource = json!({ "provider": "exa", "service_ref": "api", "configuration": {} });
    assert_eq!(here.post("resources", &resource).error(), (400, "provider_not_connected"));
    assert_eq!(connections(&here), 12);

    let request = here.post("provider_connection_requests", &json!({ "provider": "exa", "configuration": {} }));
    assert_eq!(request.text_at("/request_status"), "pending_auth");
    let (page, id) = (request.text_at("/redirect_url").to_owned(), request.text_at("/id"));
    let path = page.strip_prefix(&here.process.base).unwrap();
    for _ in 0..2 {
        let page = here.get(path);
        assert_eq!((page.status, page.header("content-type")), (200, "text/html"));
        assert!(page.text.contains("<form method=post>"), "{page:?}");
        assert_eq!(page.header("x-frame-options"), "DENY");
    }
    let request = here.get(&format!("provider_connection_requests/{id}"));
    assert_eq!(request.text_at("/request_status"), "pending_auth", "a GET changes nothing");
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let forged = here.send(here.bare_request(Method::POST, path).header(name, value)).unwrap();
        assert_eq!(forged.error(), (403, "origin_not_allowed"), "{name}: {value}");
    }
    let own = here.bare_request(Method::POST, path).header("origin", &here.process.base);
    let own = own.header("sec-fetch-site", "same-origin").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(here.send(own).unwrap().status, 200);
    let request = here.get(&format!("provider_connection_requests/{id}"));
    assert_eq!(request.text_at("/request_status"), "complete");
    assert_eq!(request.text_at("/provider_connection/status"), "active");
    assert_eq!(connections(&here), 13);
    assert_eq!(here.post("resources", &resource).status, 200);

    let connection = request.text_at("/provider_connection/id");
    assert_eq!(here.post(&format!("provider_connections/{connection}/unlink"), &json!({})).status, 200);
    assert_eq!(here.post("resources", &resource).error(), (400, "provider_not_connected"));
    assert_eq!(here.get("/connect/pcr_none").error(), (404, "resource_missing"));
}

#[test]
fn page_of_another_origin_changes_nothing() {
    let here = Simulator::start();
    for (name, value) in [("origin", "http://127.0.0.1:1"), ("origin", "null"), ("sec-fetch-site", "same-site")] {
        for (method, path) in [
            (Method::POST, "/_simulator/faults"),
            (Method::DELETE, "/_simulator/faults"),
            (Method::POST, "/_simulator/usage"),
            (Method::POST, "/v2/provisioning/projects"),
            (Method::GET, "/v2/provisioning/eligibility"),
        ] {
            let request = here.bare_request(method.clone(), path).bearer_auth("rk_test_0123456789");
            let forged = here.send(request.header(name, value)).unwrap();
            assert_eq!(forged.error(), (403, "origin_not_allowed"), "{method} {path}, {name}: {value}");
        }
    }
    assert_eq!(here.get("/checkout").status, 200);
}

/// Half a request holds a connection for a few seconds, and not forever.
#[test]
fn silent_clients_do_not_stop_the_simulator() {
    use std::{io::Write as _, net::TcpStream};
    let here = Simulator::start();
    let address = here.process.base.strip_prefix("http://").unwrap();
    for start in ["GET /checkout HTTP/1.1\r\nHost: 127", "", "GET /checkout HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"] {
        let silent: Vec<TcpStream> = (0..130)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(start.as_bytes()).unwrap();
                stream
            })
            .collect();
        // The client of the tests gives up after a time of its own.
        assert_eq!(here.get("/checkout").status, 200, "{start:?}");
        drop(silent);
    }
}

#[test]
fn provider_limit_stops_the_spending() {
    let here = Simulator::start();
    let id = create(&here, "supermemory", "memory", &json!({ "plan": "pro" }));
    let revealed = here.post(&format!("resources/{id}/reveal_access_configuration"), &json!({}));
    let key = &revealed.body["configuration"]["API_KEY"];
    let limit = |amount: &str, interval: &str| {
        let limits = json!({ "currency": "usd", "max_amount": amount, "recurring_interval": interval });
        here.post("payment_profile/update_limit", &json!({ "provider": "supermemory", "usage_limits": limits }))
    };
    let profile = limit("2500", "month");
    let shared = profile.body["providers"].as_array().unwrap();
    let shared = shared.iter().find(|shared| !shared["usage_limits"].is_null()).unwrap();
    assert_eq!(shared["usage_limits"]["max_amount"], "2500", "as a string");
    assert_eq!(here.get("payment_profile").body["providers"], profile.body["providers"]);

    let bill = |amount: u64| {
        let usage = json!({ "resource": id, "micro_usd": amount });
        here.send(here.bare_request(Method::POST, "/_simulator/usage").json(&usage)).unwrap()
    };
    assert_eq!(bill(24_999_999).body["suspended"], false);
    assert!(here.owner_of(key).is_some());
    assert_eq!(bill(1).body["suspended"], true);
    assert_eq!(here.owner_of(key), None, "above the limit the key does not work");
    assert_eq!(bill(1).error(), (402, "usage_limit_reached"));
    assert_eq!(here.get(&format!("resources/{id}")).text_at("/status"), "complete");
    let again = here.post(&format!("resources/{id}/reveal_access_configuration"), &json!({}));
    assert_eq!(&again.body["configuration"]["API_KEY"], key, "suspended resources reveal, too");
    let more = json!({ "provider": "supermemory", "service_ref": "memory", "configuration": { "plan": "pro" } });
    assert_eq!(here.post("resources", &more).error(), (402, "usage_limit_reached"));

    limit("2600", "month");
    assert!(here.owner_of(key).is_some(), "a raised limit counts at once");
    limit("0", "month");
    assert_eq!(here.owner_of(key), None, "and so does a lowered one");
    for (amount, interval) in [("-1", "month"), ("2.5", "month"), ("", "month"), ("2500", "day"), ("2500", "week")] {
        assert_eq!(limit(amount, interval).status, 400, "{amount} {interval}");
    }
    let number = json!({ "usage_limits": { "currency": "usd", "max_amount": 2500, "recurring_interval": "month" } });
    assert_eq!(here.post("payment_profile/update_limit", &number).error(), (400, "parameter_invalid"));
}

#[test]
fn declined_payment_creates_nothing() {
    let here = Simulator::start_in(Workspace::new(), &["--payment-method", "pm_card_chargeDeclined"]);
    let paid = json!({ "provider": "supermemory", "service_ref": "memory", "configuration": { "plan": "pro" } });
    assert_eq!(here.post("resources", &paid).error(), (402, "card_declined"));
    create(&here, "elevenlabs", "tts", &json!({}));
    assert_eq!(here.resources(), 1, "what is free needs no payment");
    let request = |token: &str| here.post("payment_method_requests", &json!({ "source_payment_method": token }));
    assert_eq!(request("pm_card_visa").text_at("/status"), "complete");
    assert_eq!(request("pm_card_chargeDeclined").error(), (402, "card_declined"));
    let response = here.post("payment_method_requests", &json!({}));
    assert_eq!(response.text_at("/status"), "checkout_initiated");
    assert_eq!(
        here.get(response.text_at("/checkout_session_url").strip_prefix(&here.process.base).unwrap()).status,
        200
    );
}

#[test]
fn listens_on_loopback_only_and_reports_bad_addresses() {
    let workspace = Workspace::new();
    for (address, code) in [
        ("0.0.0.0:0", "listen_address_not_loopback"),
        ("192.0.2.1:80", "listen_address_not_loopback"),
        ("localhost", "listen_address_invalid"),
    ] {
        assert_eq!(workspace.json(&["simulator", "--listen", address])["code"], code, "{address}");
    }
    let unknown = workspace.json(&["simulator", "--listen", "127.0.0.1:0", "--unlinked", "unknown"]);
    assert_eq!(unknown["code"], "unlinked_provider_unknown");
    let mut here = Simulator::start();
    let address = here.process.base.strip_prefix("http://").unwrap();
    assert_eq!(workspace.json(&["simulator", "--listen", address])["code"], "cannot_listen");
    assert_eq!(here.process.terminate(), Some(0));
}

/// Creates a resource and returns its id.
pub fn create(here: &Simulator, provider: &str, service: &str, configuration: &Value) -> String {
    let request = json!({ "provider": provider, "service_ref": service, "configuration": configuration });
    let created: Response = here.post("resources", &request);
    assert_eq!(created.status, 200, "{created:?}");
    created.text_at("/id").to_owned()
}

fn connections(here: &Simulator) -> usize {
    here.get("provider_connections?limit=100").body["data"].as_array().unwrap().len()
}
