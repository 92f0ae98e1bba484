//! What the two real backends are told: understood or not, no credential is in what is said of it.

use super::{assert_quotes_nothing, first_line, planted};
use crate::backend::{BackendError, stripe_api, stripe_cli};

/// The first line is the HTTP status, the rest the body; any other first line is the body's, with status 200.
///
/// # Panics
/// When an error quotes the body, or a change that may have happened is said not to have.
pub fn api(bytes: &[u8]) {
    let (line, rest) = first_line(bytes);
    let status = str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    let (status, body) = status.map_or((200, bytes), |status| (status, rest));
    let heard = stripe_api::fuzzing::response_errors(status, planted(body).as_bytes());
    assert_all_quote_nothing(&heard);
    let lost = matches!(status, 200..=299 | 408 | 500..=599) || !(400..=499).contains(&status);
    let certain = stripe_api::fuzzing::is_definite(status, planted(body).as_bytes());
    assert!(!(lost && certain), "a lost answer is taken for a no");
}

/// What `stripe` printed, and behind a line of dashes an env file that it wrote.
///
/// # Panics
/// When an error quotes either of them.
pub fn plugin(bytes: &[u8]) {
    let text = planted(bytes);
    let (printed, variables) = text.split_once("\n---\n").unwrap_or((&text, ""));
    assert_all_quote_nothing(&stripe_cli::fuzzing::output_errors(printed, variables));
}

fn assert_all_quote_nothing(heard: &[BackendError]) {
    for error in heard {
        assert_quotes_nothing(&error.to_string());
        // The address is there for a person to open, and for nobody else to read.
        if !matches!(error, BackendError::NeedsLink { .. }) {
            assert_quotes_nothing(&format!("{error:?}"));
        }
    }
}
