//! What Stripe lets a provider bill in a month.

use serde_json::json;

use super::{
    StripeApi,
    failure::{Failure, before_the_order},
    random_key,
    wire::PaymentProfile,
};
use crate::backend::{BackendError, Change, Refusal};

impl StripeApi {
    /// Sets the limit of a provider, `id` being Stripe's for it.
    pub(super) async fn set_limit(&self, change: Change, id: &str) -> Result<(), BackendError> {
        let limits = json!({
            "currency": "usd",
            "max_amount": change.limit.cents().to_string(),
            "recurring_interval": "month",
        });
        let body = json!({ "livemode": self.http.livemode()?, "provider": id, "usage_limits": limits }).to_string();
        match self.http.change::<PaymentProfile>(UPDATE_LIMIT, &random_key()?, &body).await {
            Ok(PaymentProfile {}) => self.limits.made(change).await,
            Err(Failure::Refused(rejection)) if !rejection.is_about_the_account() => {
                Err(Refusal::LimitNotSet { provider: change.provider, limit: change.limit }.into())
            }
            Err(failure) => Err(before_the_order(failure)),
        }
    }

    /// Sets every limit that is not what the live projects add up to.
    pub(super) async fn settle(&self) -> Result<(), BackendError> {
        for _ in 0..MOST_PROVIDERS {
            let Some(change) = self.limits.next_drift().await? else {
                return Ok(());
            };
            self.check_account().await?;
            let id = self.notes.text(&format!("provider/{}", change.provider)).await?;
            let unknown = || Refusal::LimitNotSet { provider: change.provider.clone(), limit: change.limit };
            let id = id.ok_or_else(unknown)?;
            self.set_limit(change, &id).await?;
        }
        Err(BackendError::Unavailable { why: "the limits change faster than they can be set".into() })
    }
}

const UPDATE_LIMIT: &str = "/v2/provisioning/payment_profile/update_limit";

/// More than any workspace has limits for; the next call goes on.
const MOST_PROVIDERS: usize = 256;
