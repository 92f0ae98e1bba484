//! Who pays, and how much at most.

use serde_json::Value;

use super::{Context, answer, livemode};
use crate::{
    backend::simulated::{PaymentError, PaymentMethod},
    money::Cents,
    simulator::{
        catalog,
        failure::Failure,
        objects::{PaymentMethodRequestObject, PaymentProfileObject, SharedWith, UsageLimitsObject},
        parameters::Parameters,
    },
};

pub fn profile(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let livemode = livemode(context, given)?;
    given.finish()?;
    shown(context, livemode)
}

/// Sets the limit of one provider, or without one the limit of all that have none of their own.
pub fn update_limit(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let limit = usage_limits(given)?.ok_or_else(|| given.missing("usage_limits"))?;
    let provider = given.text("provider")?;
    let livemode = livemode(context, given)?;
    given.finish()?;
    let slug = match provider {
        None => None,
        Some(word) => {
            let provider = catalog::provider(&word);
            let missing = || Failure::parameter("resource_missing", "provider", "the catalog has no such thing");
            Some(provider.ok_or_else(missing)?.slug.as_str())
        }
    };
    context.account.set_limit(slug, limit)?;
    shown(context, livemode)
}

/// With one of Stripe's test tokens it is complete at once; else a person would have to open a page.
pub fn request_payment_method(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let limit = usage_limits(given)?;
    let livemode = livemode(context, given)?;
    let token = given.text("source_payment_method")?;
    for name in ["source_account", "source_customer"] {
        given.text(name)?;
    }
    given.one_of("payment_method_owner", &["platform"])?;
    given.finish()?;
    let status = match token.as_deref().map(PaymentMethod::parse) {
        None => "checkout_initiated",
        Some(Ok(PaymentMethod::Succeeds)) => "complete",
        Some(Ok(PaymentMethod::Declines)) => {
            return Err(Failure::payment("card_declined", "the payment method was declined"));
        }
        Some(Err(error @ (PaymentError::NotATestToken | PaymentError::RawCardNumber))) => {
            return Err(Failure::parameter("parameter_invalid", "source_payment_method", &error.to_string()));
        }
    };
    if let Some(limit) = limit {
        context.account.set_limit(None, limit)?;
    }
    answer(&PaymentMethodRequestObject {
        object: "v2.provisioning.payment_method_request",
        checkout_session_url: format!("{}/checkout", context.base),
        status,
        livemode,
    })
}

/// The world bills US dollars by the month, and refuses what it could not keep.
fn usage_limits(given: &mut Parameters) -> Result<Option<Cents>, Failure> {
    let Some(mut limits) = given.nested("usage_limits")? else {
        return Ok(None);
    };
    let currency = limits.required_text("currency")?;
    let amount = limits.required_amount("max_amount")?;
    let interval = limits.one_of("recurring_interval", &["month", "week", "year"])?;
    let interval = interval.ok_or_else(|| limits.missing("recurring_interval"))?;
    limits.finish()?;
    if !currency.eq_ignore_ascii_case("usd") {
        return Err(limits.wrong("currency", "not usd, and the simulation bills nothing else"));
    }
    if interval != "month" {
        return Err(limits.wrong("recurring_interval", "not month, and the simulation bills by nothing else"));
    }
    Cents::new(amount).map(Some).ok_or_else(|| limits.wrong("max_amount", "above one million dollars"))
}

fn shown(context: &Context<'_>, livemode: bool) -> Result<Value, Failure> {
    let mut providers = Vec::new();
    for provider in catalog::providers() {
        if context.account.is_connected(&provider.id)? {
            let usage_limits = context.account.limit(Some(&provider.slug))?.map(monthly);
            providers.push(SharedWith { provider: provider.id.clone(), usage_limits });
        }
    }
    answer(&PaymentProfileObject {
        object: "v2.provisioning.payment_profile",
        card_last4: "4242",
        livemode,
        usage_limits: context.account.limit(None)?.map(monthly),
        shared_with_providers: providers.iter().map(|shared| shared.provider.clone()).collect(),
        providers,
        payment_method_owner: None,
    })
}

fn monthly(limit: Cents) -> UsageLimitsObject {
    UsageLimitsObject { currency: "usd", max_amount: limit.cents().to_string(), recurring_interval: "month" }
}
