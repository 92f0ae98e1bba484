//! What an alert says: the same words for as often as it is sent.

use serde_json::json;

use crate::ledger::Alert;

/// The JSON that is sent. It names the project and amounts; no key, no mask, no path.
pub fn body(alert: &Alert) -> String {
    json!({
        "id": alert.id,
        "type": "budget.threshold_reached",
        "created": alert.created_at.as_second(),
        "data": {
            "name": alert.name.as_str(),
            "provider": alert.provider.as_str(),
            "project_id": alert.project_id.as_str(),
            "threshold_percent": alert.threshold,
            "spend_cap_usd": alert.cap.usd(),
            "usage_usd": alert.usage.usd(),
        },
    })
    .to_string()
}
