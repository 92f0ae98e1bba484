//! Responses to the two real backends: no error about them quotes a credential.

use backends::{BackendError, stripe_api, stripe_cli};

use super::{assert_quotes_nothing, first_line, plant_credentials};

/// Handles an HTTP response. An optional first line gives its status; the default is 200.
///
/// # Panics
/// If an error quotes the body, or a change that may have taken effect is reported as certainly failed.
pub fn api(bytes: &[u8]) {
    let (line, rest) = first_line(bytes);
    let status = str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    let (status, body) = status.map_or((200, bytes), |status| (status, rest));
    let errors = stripe_api::fuzzing::response_errors(status, plant_credentials(body).as_bytes());
    assert_all_quote_nothing(&errors);
    let is_uncertain = matches!(status, 200..=299 | 408 | 500..=599) || !(400..=499).contains(&status);
    let is_definite = stripe_api::fuzzing::is_definite(status, plant_credentials(body).as_bytes());
    assert!(!(is_uncertain && is_definite), "an uncertain outcome is reported as a definite failure");
}

/// Handles the output of `stripe` and, after a line of dashes, an env file that it wrote.
///
/// # Panics
/// If an error quotes either of them.
pub fn plugin(bytes: &[u8]) {
    let text = plant_credentials(bytes);
    let (printed, variables) = text.split_once("\n---\n").unwrap_or((&text, ""));
    assert_all_quote_nothing(&stripe_cli::fuzzing::output_errors(printed, variables));
}

fn assert_all_quote_nothing(errors: &[BackendError]) {
    for error in errors {
        assert_quotes_nothing(&error.to_string());
        // The URL is meant for a person, and its debug output is never shown.
        if !matches!(error, BackendError::NeedsLink { .. }) {
            assert_quotes_nothing(&format!("{error:?}"));
        }
    }
}
