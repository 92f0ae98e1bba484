//! The account: linking providers, and money. None of these shapes of `data` is recorded.

use serde_json::{Value, json};

use super::{Scene, invalid};
use crate::{
    answer::{Failure, Outcome},
    catalog, mint,
};

/// Some providers want a person in a browser: those that a test has set `browser` for, or the weather.
pub fn link(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    scene.project_id()?;
    let provider = scene.call.subject().to_owned();
    if !catalog::knows_provider(&provider) {
        return Err(invalid("Unknown provider."));
    }
    if !scene.tos_accepted(&provider) {
        return Err(Failure::new("TOS_ACCEPTANCE_REQUIRED", "Accept the terms of service with --accept-tos."));
    }
    let linked = scene.world.account["providers"][&provider]["status"] == "linked";
    let browser = scene.weather.has("browser") || scene.world.setting(&provider, "browser") == true;
    if browser && !linked {
        let url = format!("https://connect.standin.example/{provider}/{}", mint::hex(8));
        scene.world.account["providers"][&provider] = json!({ "status": "pending", "redirect_url": url });
        let details = json!({ "provider": provider, "redirect_url": url });
        return Err(Failure::new("BROWSER_AUTH_REQUIRED", "Finish in a browser.").with(details));
    }
    scene.accept_tos(&provider);
    let record = json!({ "status": "linked", "linked_at": mint::now(), "redirect_url": null });
    scene.world.account["providers"][&provider] = record;
    Ok(json!({ "provider": { "name": provider, "status": "linked" } }))
}

pub fn show_billing(scene: &Scene<'_>) -> Value {
    let account = &scene.world.account;
    let card = if account["payment_method"] == true { json!({ "type": "card", "last4": "4242" }) } else { Value::Null };
    let providers = account["limits"]["providers"].as_object().unwrap().iter();
    let providers =
        providers.map(|(provider, cents)| json!({ "provider": provider, "limit": usd(cents.as_u64().unwrap()) }));
    json!({
        "payment_method": card,
        "currency": "usd",
        "limit": account["limits"]["global"].as_u64().map(usd),
        "providers": providers.collect::<Vec<_>>(),
    })
}

pub fn update_billing(scene: &mut Scene<'_>) -> Outcome {
    scene.confirmed()?;
    let cents =
        cents(scene.call.value("limit").unwrap_or_default()).ok_or_else(|| invalid("--limit is not an amount"))?;
    match scene.call.value("provider") {
        Some(provider) if !catalog::knows_provider(provider) => return Err(invalid("Unknown provider.")),
        Some(provider) => scene.world.account["limits"]["providers"][provider] = cents.into(),
        None => scene.world.account["limits"]["global"] = cents.into(),
    }
    Ok(json!({ "currency": "usd", "limit": usd(cents), "provider": scene.call.value("provider") }))
}

pub fn spend(scene: &mut Scene<'_>) -> Outcome {
    let wanted = scene.call.subject();
    if !wanted.is_empty() && !catalog::knows_provider(wanted) {
        return Err(invalid("Unknown provider."));
    }
    let linked = scene.world.account["providers"].as_object().unwrap().keys();
    let counted: Vec<&String> = linked.filter(|provider| wanted.is_empty() || *provider == wanted).collect();
    let amount: u64 = counted.iter().map(|provider| scene.world.spent(provider)).sum();
    let rows = counted.iter().map(|provider| {
        json!({
            "provider": provider,
            "amount": usd(scene.world.spent(provider)),
            "limit": usd(scene.world.limit(provider)),
        })
    });
    Ok(json!({ "currency": "usd", "amount": usd(amount), "providers": rows.collect::<Vec<_>>() }))
}

fn usd(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Whole dollars, or dollars and two digits.
fn cents(text: &str) -> Option<u64> {
    let (dollars, cents) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if cents.len() != 2 || !digits(dollars) || !digits(cents) {
        return None;
    }
    dollars.parse::<u64>().ok()?.checked_mul(100)?.checked_add(cents.parse().ok()?)
}
