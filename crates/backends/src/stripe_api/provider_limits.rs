//! Monthly limits of providers at Stripe.

use domain::project::random_hex;
use serde_json::json;

use super::{
    StripeApi,
    failure::{Failure, before_order},
    wire::PaymentProfile,
};
use crate::{BackendError, LimitChange, Refusal};

impl StripeApi {
    /// Sets the limit of the provider whose id at Stripe is `id`.
    pub(super) async fn set_limit(&self, change: LimitChange, id: &str) -> Result<(), BackendError> {
        let limits = json!({
            "currency": "usd",
            "max_amount": change.limit.cents().to_string(),
            "recurring_interval": "month",
        });
        let body = json!({ "livemode": self.http.livemode()?, "provider": id, "usage_limits": limits }).to_string();
        match self.http.write::<PaymentProfile>(UPDATE_LIMIT, &random_hex::<16>()?, &body).await {
            Ok(PaymentProfile {}) => self.limits.confirm(change).await,
            Err(Failure::Refused(rejection)) if !rejection.is_about_the_account() => {
                Err(Refusal::LimitNotSet { provider: change.provider, limit: change.limit }.into())
            }
            Err(failure) => Err(before_order(failure)),
        }
    }

    /// Sets the limit of a provider, by Stripe's name of it, to the sum of caps.
    pub(super) async fn follow_caps(&self, provider: &str) -> Result<(), BackendError> {
        let change = self.limits.change(provider).await?;
        let id = self.provider_id(&change).await?;
        self.set_limit(change, &id).await
    }

    /// Sets every limit that differs from the sum of caps.
    pub(super) async fn set_drifted_limits(&self) -> Result<(), BackendError> {
        for _ in 0..MAX_CHANGES {
            let Some(change) = self.limits.next_drift().await? else {
                return Ok(());
            };
            self.check_account().await?;
            let id = self.provider_id(&change).await?;
            self.set_limit(change, &id).await?;
        }
        Err(BackendError::Unavailable { why: "the limits change faster than they can be set".into() })
    }

    async fn provider_id(&self, change: &LimitChange) -> Result<String, BackendError> {
        let id = self.notes.text(&format!("provider/{}", change.provider)).await?;
        let unknown = || Refusal::LimitNotSet { provider: change.provider.clone(), limit: change.limit };
        Ok(id.ok_or_else(unknown)?)
    }
}

const UPDATE_LIMIT: &str = "/v2/provisioning/payment_profile/update_limit";

/// More than any workspace has providers. The next call continues.
const MAX_CHANGES: usize = 256;
