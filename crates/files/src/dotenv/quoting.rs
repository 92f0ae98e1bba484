//! Quoting rules: which values every reader of env files reads back byte for byte.
//!
//! A bare value, `NAME=value`, is read alike by Node's `dotenv`, `python-dotenv`, `docker --env-file` and `sh`. If `sh`
//! would act on a character, such as the `&` of a connection string, the value is written in single quotes, which all of
//! these except `docker --env-file` remove.

use std::iter;

use domain::name::EnvVar;

use super::DotenvError;

/// Returns the quote to write around the value: none, or a single quote.
pub(super) fn quote_for(value: &str) -> Result<&'static [u8], DotenvError> {
    match (is_bare(value), is_literal_in_quotes(value)) {
        (true, _) => Ok(b""),
        (false, true) => Ok(b"'"),
        (false, false) => Err(DotenvError::Unrepresentable),
    }
}

/// Returns whether an independent parser reads the line as this assignment.
pub(super) fn reads_back(line: &[u8], var: &EnvVar, value: &str) -> bool {
    let parsed = str::from_utf8(line).ok().and_then(|line| dotenv_parser::parse_dotenv(line).ok());
    parsed.is_some_and(|parsed| parsed.into_iter().eq([(var.as_str().to_owned(), value.to_owned())]))
}

/// Returns whether every reader takes the unquoted value literally.
///
/// Excluded are the characters that a shell acts on, `#`, quotes, blanks, and `{}`, which bash expands after `export`.
/// Where a path could begin, which is at the start and after a colon, a shell expands `~` to a home folder and zsh `=` to
/// the path of a command; some shells expand `~` after `=` too.
fn is_bare(value: &str) -> bool {
    let previous = iter::once(b':').chain(value.bytes());
    let is_allowed = |(previous, byte): (u8, u8)| match byte {
        b'~' => !matches!(previous, b':' | b'='),
        b'=' => previous != b':',
        _ => byte.is_ascii_alphanumeric() || BARE.contains(&byte),
    };
    !value.is_empty() && previous.zip(value.bytes()).all(is_allowed)
}

/// Returns whether every reader takes the value literally between single quotes.
///
/// Excluded are quotes and escapes that some readers act on even there, and `$`, which `python-dotenv` and docker compose
/// may expand.
fn is_literal_in_quotes(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"$'\\`".contains(&byte))
}

/// Allowed anywhere in a bare value, besides letters and digits.
const BARE: &[u8] = b"_-./:+,@%?!";
