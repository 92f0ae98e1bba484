//! Payment methods of the simulation: Stripe's documented test tokens, never a card number.

use domain::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit},
    secret::looks_like_card_number,
};

/// One of Stripe's test payment methods.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PaymentMethod {
    /// Every charge is declined: `pm_card_chargeDeclined`.
    Declines,
    /// Every charge succeeds: `pm_card_visa` and the other brands.
    #[default]
    Succeeds,
}

impl PaymentMethod {
    /// # Errors
    /// [`PaymentError`], which does not quote the token.
    pub fn parse(token: &str) -> Result<Self, PaymentError> {
        match token {
            "pm_card_chargeDeclined" => Ok(Self::Declines),
            token if SUCCEEDING.contains(&token) => Ok(Self::Succeeds),
            token if looks_like_card_number(token) => Err(PaymentError::RawCardNumber),
            _ => Err(PaymentError::NotATestToken),
        }
    }
}

/// Why a text is not a payment method of the simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PaymentError {
    #[error("the payment method is not one of Stripe's test tokens")]
    NotATestToken,
    #[error("this looks like a card number, and card numbers are never accepted")]
    RawCardNumber,
}

impl Diagnostic for PaymentError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotATestToken => "invalid_payment_method",
            Self::RawCardNumber => "raw_card_number",
        }
    }

    fn hint(&self, channel: Channel) -> String {
        channel.person("give one of Stripe's test tokens, such as pm_card_visa")
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Stripe's documented test tokens that succeed.
const SUCCEEDING: &[&str] = &[
    "pm_card_amex",
    "pm_card_diners",
    "pm_card_discover",
    "pm_card_jcb",
    "pm_card_mastercard",
    "pm_card_unionpay",
    "pm_card_visa",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_tokens_are_accepted() {
        assert_eq!(PaymentMethod::parse("pm_card_visa"), Ok(PaymentMethod::Succeeds));
        assert_eq!(PaymentMethod::parse("pm_card_chargeDeclined"), Ok(PaymentMethod::Declines));
        assert_eq!(PaymentMethod::parse("4242 4242 4242 4242"), Err(PaymentError::RawCardNumber));
        assert_eq!(PaymentMethod::parse("378282246310005"), Err(PaymentError::RawCardNumber));
        assert_eq!(PaymentMethod::parse("tok_visa"), Err(PaymentError::NotATestToken));
    }
}
