//! Reads the amount that a provider has billed this month from the output of `spend`.

use domain::money::MicroUsd;
use serde_json::Value;

/// Returns the amount in the `data` of `spend <provider>`; `None` if it is missing or ambiguous.
///
/// The shape is not documented, so only unambiguous amounts count: at the top, or in `spend` or `total`, either dollars
/// under a key that ends in `_usd`, or an `amount` with a decimal point beside `"currency": "usd"`.
pub fn amount(data: &Value) -> Option<MicroUsd> {
    let places = [Some(data), data.get("spend"), data.get("total")];
    let mut amounts = places.into_iter().flatten().flat_map(amounts_in);
    let first = amounts.next()??;
    amounts.all(|other| other == Some(first)).then_some(first)
}

/// Returns the amounts of an object; `None` for an ambiguous one.
fn amounts_in(place: &Value) -> Vec<Option<MicroUsd>> {
    let usd_amounts =
        ["amount_usd", "spend_usd", "total_usd"].into_iter().filter_map(|key| place.get(key)).map(dollars);
    let is_dollars = place.get("currency").and_then(Value::as_str).is_some_and(|unit| unit.eq_ignore_ascii_case("usd"));
    let amount = place.get("amount").filter(|_| is_dollars);
    // A whole number beside a currency is cents at Stripe, and dollars elsewhere.
    let amount = amount.map(|amount| if amount.to_string().contains('.') { dollars(amount) } else { None });
    usd_amounts.chain(amount).collect()
}

/// Parses dollars from their digits, never as a float.
fn dollars(value: &Value) -> Option<MicroUsd> {
    match value {
        Value::Number(number) => MicroUsd::parse_usd(&number.to_string()).ok(),
        Value::String(text) => MicroUsd::parse_usd(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unambiguous_dollars_are_read() {
        for data in [
            json!({ "total_usd": "1.25" }),
            json!({ "spend_usd": 1.25, "provider": "exa" }),
            json!({ "spend": { "amount": "1.25", "currency": "USD" }, "total": { "amount_usd": 1.250 } }),
        ] {
            assert_eq!(amount(&data), Some(MicroUsd::new(1_250_000)), "{data}");
        }
        assert_eq!(amount(&json!({ "total_usd": 0 })), Some(MicroUsd::ZERO));
    }

    #[test]
    fn ambiguous_amount_is_unknown() {
        for data in [
            json!(null),
            json!(125),
            json!({ "amount": 125, "currency": "usd" }),
            json!({ "amount": "1.25", "currency": "eur" }),
            json!({ "amount": "1.25" }),
            json!({ "total_usd": -1 }),
            json!({ "total_usd": 1e30 }),
            json!({ "total_usd": "1,25" }),
            json!({ "total_usd": "1", "spend_usd": "2" }),
            json!({ "total_usd": "1", "spend": { "amount_usd": null } }),
        ] {
            assert_eq!(amount(&data), None, "{data}");
        }
    }
}
