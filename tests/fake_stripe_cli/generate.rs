//! Generated identifiers, timestamps and credentials.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{TryRng as _, rngs::SysRng};

/// The prefix of every secret of the fake; it may be inside a longer value.
pub const PREFIX: &str = "sk_standin_";

pub fn hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SysRng.try_fill_bytes(&mut random).unwrap();
    hex_of(&random)
}

pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Returns whether a value of that name is a secret; others are addresses or identifiers.
pub fn is_secret(suffix: &str) -> bool {
    !["PROJECT_ID", "ENDPOINT", "_URL"].iter().any(|end| suffix.ends_with(end))
}

pub fn identifier(suffix: &str) -> String {
    let random = hex(6);
    match suffix {
        "ENDPOINT" => format!("standin-{random}.example"),
        _ if suffix.ends_with("_URL") => format!("https://standin-{random}.example"),
        _ => format!("standin-{random}"),
    }
}

/// Returns the current time in RFC 3339, UTC.
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (mut days, mut year) = (seconds / 86_400, 1970);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.000Z", days + 1)
}
