//! Verbs for linked providers, billing limits and spend. None of their `data` shapes is recorded.

use serde_json::{Value, json};

use super::{Context, invalid};
use crate::{
    catalog, generate,
    response::{Failure, Outcome},
};

/// Links a provider; with the setting or fault `browser`, it requires a person in a browser.
pub fn link(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    context.project_id()?;
    let provider = context.call.subject().to_owned();
    if !catalog::knows_provider(&provider) {
        return Err(invalid("Unknown provider."));
    }
    if !context.tos_accepted(&provider) {
        return Err(Failure::new("TOS_ACCEPTANCE_REQUIRED", "Accept the terms of service with --accept-tos."));
    }
    let linked = context.store.account["providers"][&provider]["status"] == "linked";
    let browser = context.faults.has("browser") || context.store.setting(&provider, "browser") == true;
    if browser && !linked {
        let url = format!("https://connect.standin.example/{provider}/{}", generate::hex(8));
        context.store.account["providers"][&provider] = json!({ "status": "pending", "redirect_url": url });
        let details = json!({ "provider": provider, "redirect_url": url });
        return Err(Failure::new("BROWSER_AUTH_REQUIRED", "Finish in a browser.").with(details));
    }
    context.accept_tos(&provider);
    let record = json!({ "status": "linked", "linked_at": generate::now(), "redirect_url": null });
    context.store.account["providers"][&provider] = record;
    Ok(json!({ "provider": { "name": provider, "status": "linked" } }))
}

pub fn show_billing(context: &Context<'_>) -> Value {
    let account = &context.store.account;
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

pub fn update_billing(context: &mut Context<'_>) -> Outcome {
    context.confirmed()?;
    let cents =
        cents(context.call.value("limit").unwrap_or_default()).ok_or_else(|| invalid("--limit is not an amount"))?;
    match context.call.value("provider") {
        Some(provider) if !catalog::knows_provider(provider) => return Err(invalid("Unknown provider.")),
        Some(provider) => context.store.account["limits"]["providers"][provider] = cents.into(),
        None => context.store.account["limits"]["global"] = cents.into(),
    }
    Ok(json!({ "currency": "usd", "limit": usd(cents), "provider": context.call.value("provider") }))
}

pub fn spend(context: &mut Context<'_>) -> Outcome {
    let filter = context.call.subject();
    if !filter.is_empty() && !catalog::knows_provider(filter) {
        return Err(invalid("Unknown provider."));
    }
    let linked = context.store.account["providers"].as_object().unwrap().keys();
    let counted: Vec<&String> = linked.filter(|provider| filter.is_empty() || *provider == filter).collect();
    let amount: u64 = counted.iter().map(|provider| context.store.spent(provider)).sum();
    let rows = counted.iter().map(|provider| {
        json!({
            "provider": provider,
            "amount": usd(context.store.spent(provider)),
            "limit": usd(context.store.limit(provider)),
        })
    });
    Ok(json!({ "currency": "usd", "amount": usd(amount), "providers": rows.collect::<Vec<_>>() }))
}

fn usd(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Parses whole dollars, or dollars with two decimals.
fn cents(text: &str) -> Option<u64> {
    let (dollars, cents) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if cents.len() != 2 || !digits(dollars) || !digits(cents) {
        return None;
    }
    dollars.parse::<u64>().ok()?.checked_mul(100)?.checked_add(cents.parse().ok()?)
}
