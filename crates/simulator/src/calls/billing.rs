//! The payment method and the spend limits.

use backends::simulated::{PaymentError, PaymentMethod};
use domain::money::Cents;
use serde_json::Value;

use super::{Context, livemode, to_json};
use crate::{
    catalog,
    failure::Failure,
    objects::{PaymentMethodRequestObject, PaymentProfileObject, SharedWith, UsageLimitsObject},
    parameters::Parameters,
};

/// Returns the payment profile.
pub fn profile(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let livemode = livemode(context, parameters)?;
    parameters.finish()?;
    render(context, livemode)
}

/// Sets the spend limit of a provider, or the default limit.
pub fn update_limit(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let limit = usage_limits(parameters)?.ok_or_else(|| parameters.missing("usage_limits"))?;
    let provider = parameters.text("provider")?;
    let livemode = livemode(context, parameters)?;
    parameters.finish()?;
    let slug = match provider {
        None => None,
        Some(word) => {
            let provider = catalog::provider(&word);
            let missing = || Failure::parameter("resource_missing", "provider", "the catalog has no such provider");
            Some(provider.ok_or_else(missing)?.slug.as_str())
        }
    };
    context.account.set_limit(slug, limit)?;
    render(context, livemode)
}

/// Requests a payment method: complete with a test token, else pending on a page.
pub fn request_payment_method(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let limit = usage_limits(parameters)?;
    let livemode = livemode(context, parameters)?;
    let token = parameters.text("source_payment_method")?;
    for name in ["source_account", "source_customer"] {
        parameters.text(name)?;
    }
    parameters.one_of("payment_method_owner", &["platform"])?;
    parameters.finish()?;
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
    to_json(&PaymentMethodRequestObject {
        object: "v2.provisioning.payment_method_request",
        checkout_session_url: format!("{}/checkout", context.base),
        status,
        livemode,
    })
}

/// Parses a monthly limit in US dollars, the only kind that is simulated.
fn usage_limits(parameters: &mut Parameters) -> Result<Option<Cents>, Failure> {
    let Some(mut limits) = parameters.nested("usage_limits")? else {
        return Ok(None);
    };
    let currency = limits.required_text("currency")?;
    let amount = limits.required_amount("max_amount")?;
    let interval = limits.one_of("recurring_interval", &["month", "week", "year"])?;
    let interval = interval.ok_or_else(|| limits.missing("recurring_interval"))?;
    limits.finish()?;
    if !currency.eq_ignore_ascii_case("usd") {
        return Err(limits.invalid("currency", "not usd, the only simulated currency"));
    }
    if interval != "month" {
        return Err(limits.invalid("recurring_interval", "not month, the only simulated interval"));
    }
    Cents::new(amount).map(Some).ok_or_else(|| limits.invalid("max_amount", "above one million dollars"))
}

fn render(context: &Context<'_>, livemode: bool) -> Result<Value, Failure> {
    let mut providers = Vec::new();
    for provider in catalog::providers() {
        if context.account.is_connected(&provider.id)? {
            let usage_limits = context.account.limit(Some(&provider.slug))?.map(monthly);
            providers.push(SharedWith { provider: provider.id.clone(), usage_limits });
        }
    }
    to_json(&PaymentProfileObject {
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
