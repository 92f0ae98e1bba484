//! The answer in what `stripe` printed: found, read, and decided on by its `ok` alone.

use serde_json::Value;

use super::{
    cli_error::{CliError, ErrorEnvelope},
    runner::{Output, RunError},
};
use crate::backend::Setup;

/// The `data` of a good answer.
///
/// # Errors
/// [`CliError`]; a bad answer's own words stay here, for they may quote a key.
pub fn data(told: Result<Output, RunError>) -> Result<Value, CliError> {
    let output = told?;
    let Some(mut envelope) = only_envelope(&output.stdout)? else {
        return Err(without_envelope(&output));
    };
    if envelope.get("ok") == Some(&Value::Bool(true)) {
        return Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default());
    }
    let error = envelope.get("error");
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_str);
    let details = error.and_then(|error| error.get("details")).cloned().unwrap_or_default();
    Err(CliError::No(ErrorEnvelope { code: code.filter(|code| is_code(code)).map(str::to_owned), details }))
}

/// The version that `stripe --version` printed: major, minor, and whatever numbers follow.
pub fn version(told: Result<Output, RunError>) -> Option<Vec<u32>> {
    let output = told.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find_map(|word| {
        let numbers: Result<Vec<u32>, _> = word.trim_start_matches('v').split('.').map(str::parse).collect();
        numbers.ok().filter(|numbers| (2..=4).contains(&numbers.len()))
    })
}

/// The first object with an `ok` in it. What comes before it is for people; a second one makes it unclear which counts.
fn only_envelope(stdout: &[u8]) -> Result<Option<Value>, CliError> {
    let Some((envelope, rest)) = next_envelope(stdout)? else {
        return Ok(None);
    };
    match next_envelope(rest)? {
        None => Ok(Some(envelope)),
        Some(_) => Err(CliError::Unclear("gave two answers")),
    }
}

fn next_envelope(text: &[u8]) -> Result<Option<(Value, &[u8])>, CliError> {
    let mut rest = text;
    for _ in 0..MOST_BRACES {
        let Some(at) = rest.iter().position(|byte| *byte == b'{') else {
            return Ok(None);
        };
        let (_, from) = rest.split_at(at);
        let mut objects = serde_json::Deserializer::from_slice(from).into_iter::<Value>();
        let read = objects.next();
        let length = match &read {
            Some(Ok(_)) => objects.byte_offset(),
            // Cut off: what is inside of it is no answer of its own.
            Some(Err(error)) if error.is_eof() => return Err(CliError::Unclear("was cut off")),
            _ => 1,
        };
        (_, rest) = from.split_at(length.min(from.len()));
        if let Some(Ok(value)) = read
            && value.get("ok").is_some_and(Value::is_boolean)
        {
            return Ok(Some((value, rest)));
        }
    }
    Err(CliError::Unclear("printed something else"))
}

/// The two sentences that the Stripe CLI says instead of an answer.
fn without_envelope(output: &Output) -> CliError {
    let said = |words: &str| {
        let contains = |text: &[u8]| String::from_utf8_lossy(text).to_ascii_lowercase().contains(words);
        contains(&output.stdout) || contains(&output.stderr)
    };
    if said("unknown command \"projects\"") {
        return CliError::NoPlugin;
    }
    if said("you must be logged in") || said("stripe login") || said("plugin install") {
        return CliError::NotSetUp(Setup::LoggedOut);
    }
    CliError::Unclear(if output.stdout.is_empty() { "said nothing" } else { "printed something else" })
}

/// Whether it is a code, which is safe to show, and not a sentence in its place.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// More braces than this before the answer are not an honest preamble.
const MOST_BRACES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stdout: &str) -> Result<Value, CliError> {
        data(Ok(Output { stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() }))
    }

    #[test]
    fn the_answer_is_found_behind_other_text() {
        for before in ["", "A new version {1.53} is out\n", "{\"level\":\"info\"}\n", "{\"a\": {\"b\"\n }\n"] {
            let data = read(&format!("{before}{{\"ok\":true,\"data\":{{\"a\":1}},\"new\":[]}}\nbye\n"));
            assert!(data.as_ref().is_ok_and(|data| data["a"] == 1), "{before:?}: {data:?}");
        }
        assert!(read("{\"ok\":true}").unwrap().is_null());
    }

    #[test]
    fn what_is_no_answer_is_unclear() {
        let nested = format!("{}1", "{\"a\":".repeat(200_000));
        for text in [
            "",
            "hello",
            "{\"ok\":true,\"data\":{\"x\":{\"ok\":true}}",
            "{\"ok\":\"true\"}",
            "{\"ok\":true}{\"ok\":true}",
            "{\"ok\":true}\n{\"ok\":false}",
            "[{\"ok\"",
            &nested,
            &"{".repeat(4_000_000),
        ] {
            let cli_error = read(text).unwrap_err();
            assert!(matches!(cli_error, CliError::Unclear(_)), "{cli_error:?}");
        }
        for lost in [RunError::TimedOut, RunError::TooMuch] {
            assert!(matches!(data(Err(lost)), Err(CliError::Unclear(_))));
        }
    }

    #[test]
    fn a_no_is_known_by_its_code_alone() {
        let no =
            "{\"ok\":false,\"error\":{\"code\":\"PLAN_REQUIRED\",\"message\":\"sk_canary\",\"details\":{\"a\":1}}}";
        let Err(CliError::No(complaint)) = read(no) else { panic!("not a no") };
        assert_eq!((complaint.code.as_deref(), &complaint.details["a"]), (Some("PLAN_REQUIRED"), &1.into()));
        for odd in ["sk_live_0123", "two words", "", &"A".repeat(65)] {
            let Err(CliError::No(complaint)) = read(&format!("{{\"ok\":false,\"error\":{{\"code\":\"{odd}\"}}}}"))
            else {
                panic!("not a no")
            };
            assert_eq!(complaint.code, None);
        }
        assert!(matches!(read("{\"ok\":false}"), Err(CliError::No(ErrorEnvelope { code: None, .. }))));
    }

    #[test]
    fn plain_words_say_what_is_missing() {
        let logged_out = "You must be logged in to access the \"projects\" plugin.\nPress Enter to open the browser";
        assert!(matches!(read(logged_out), Err(CliError::NotSetUp(Setup::LoggedOut))));
        let stderr = b"unknown command \"projects\" for \"stripe\"".to_vec();
        assert!(matches!(data(Ok(Output { stdout: Vec::new(), stderr })), Err(CliError::NoPlugin)));
        assert!(matches!(data(Err(RunError::Missing)), Err(CliError::NotSetUp(Setup::CliMissing))));
    }

    #[test]
    fn the_version_is_read_from_its_line() {
        let told = |text: &str| version(Ok(Output { stdout: text.as_bytes().to_vec(), stderr: Vec::new() }));
        assert_eq!(told("stripe version 1.39.2\n"), Some(vec![1, 39, 2]));
        assert_eq!(told("stripe version v1.52.0 (abc)\n"), Some(vec![1, 52, 0]));
        assert_eq!(told("stripe\n"), None);
    }
}
