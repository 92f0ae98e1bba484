//! The message of an alert, the same for every attempt.

use domain::alert::Alert;
use serde_json::json;

/// Renders the JSON to send. It names the project and amounts; no key, no mask, no path.
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
