//! Finds and reads the JSON answer in the output of `stripe`. Its `ok` alone decides.

use serde_json::Value;

use super::{
    cli_error::{CliError, ErrorEnvelope},
    runner::{CliOutput, RunError},
};
use crate::Setup;

/// Returns the `data` of a successful answer.
///
/// # Errors
/// [`CliError`], without the message of the answer, which may quote a key.
pub fn data(output: Result<CliOutput, RunError>) -> Result<Value, CliError> {
    let output = output?;
    let Some(mut envelope) = only_envelope(&output.stdout)? else {
        return Err(without_envelope(&output));
    };
    if envelope.get("ok") == Some(&Value::Bool(true)) {
        return Ok(envelope.get_mut("data").map(Value::take).unwrap_or_default());
    }
    let error = envelope.get("error");
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_str);
    let details = error.and_then(|error| error.get("details")).cloned().unwrap_or_default();
    Err(CliError::Refused(ErrorEnvelope { code: code.filter(|code| is_code(code)).map(str::to_owned), details }))
}

/// Returns the version that `stripe --version` printed: major, minor, and further numbers.
pub fn version(output: Result<CliOutput, RunError>) -> Option<Vec<u32>> {
    let output = output.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find_map(|word| {
        let numbers: Result<Vec<u32>, _> = word.trim_start_matches('v').split('.').map(str::parse).collect();
        numbers.ok().filter(|numbers| (2..=4).contains(&numbers.len()))
    })
}

/// Returns the first object with an `ok`. Text before it is for people; a second one makes the answer ambiguous.
fn only_envelope(stdout: &[u8]) -> Result<Option<Value>, CliError> {
    let Some((envelope, rest)) = next_envelope(stdout)? else {
        return Ok(None);
    };
    match next_envelope(rest)? {
        None => Ok(Some(envelope)),
        Some(_) => Err(CliError::Unclear("printed two answers")),
    }
}

fn next_envelope(text: &[u8]) -> Result<Option<(Value, &[u8])>, CliError> {
    let mut rest = text;
    for _ in 0..MAX_BRACES {
        let Some(at) = rest.iter().position(|byte| *byte == b'{') else {
            return Ok(None);
        };
        let (_, from) = rest.split_at(at);
        let mut objects = serde_json::Deserializer::from_slice(from).into_iter::<Value>();
        let read = objects.next();
        let length = match &read {
            Some(Ok(_)) => objects.byte_offset(),
            // Incomplete: an object inside of it is not an answer.
            Some(Err(error)) if error.is_eof() => return Err(CliError::Unclear("printed an incomplete answer")),
            _ => 1,
        };
        (_, rest) = from.split_at(length.min(from.len()));
        if let Some(Ok(value)) = read
            && value.get("ok").is_some_and(Value::is_boolean)
        {
            return Ok(Some((value, rest)));
        }
    }
    Err(CliError::Unclear("printed no answer"))
}

/// Interprets the sentences that the Stripe CLI prints instead of an answer.
fn without_envelope(output: &CliOutput) -> CliError {
    let prints = |sentence: &str| {
        let contains = |text: &[u8]| String::from_utf8_lossy(text).to_ascii_lowercase().contains(sentence);
        contains(&output.stdout) || contains(&output.stderr)
    };
    if prints("unknown command \"projects\"") {
        return CliError::NoPlugin;
    }
    if prints("you must be logged in") || prints("stripe login") || prints("plugin install") {
        return CliError::NotSetUp(Setup::LoggedOut);
    }
    CliError::Unclear(if output.stdout.is_empty() { "printed nothing" } else { "printed no answer" })
}

/// Whether a text is a code, which is safe to show, and not a sentence.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// More than any text before an answer contains.
const MAX_BRACES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stdout: &str) -> Result<Value, CliError> {
        data(Ok(CliOutput { stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() }))
    }

    #[test]
    fn answer_after_other_text_is_found() {
        for before in ["", "A new version {1.53} is out\n", "{\"level\":\"info\"}\n", "{\"a\": {\"b\"\n }\n"] {
            let data = read(&format!("{before}{{\"ok\":true,\"data\":{{\"a\":1}},\"new\":[]}}\nbye\n"));
            assert!(data.as_ref().is_ok_and(|data| data["a"] == 1), "{before:?}: {data:?}");
        }
        assert!(read("{\"ok\":true}").unwrap().is_null());
    }

    #[test]
    fn output_without_an_answer_is_unclear() {
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
        for error in [RunError::TimedOut, RunError::TooMuch] {
            assert!(matches!(data(Err(error)), Err(CliError::Unclear(_))));
        }
    }

    #[test]
    fn refusal_keeps_its_code_alone() {
        let refusal =
            "{\"ok\":false,\"error\":{\"code\":\"PLAN_REQUIRED\",\"message\":\"sk_canary\",\"details\":{\"a\":1}}}";
        let Err(CliError::Refused(envelope)) = read(refusal) else { panic!("not a refusal") };
        assert_eq!((envelope.code.as_deref(), &envelope.details["a"]), (Some("PLAN_REQUIRED"), &1.into()));
        for odd in ["sk_live_0123", "two words", "", &"A".repeat(65)] {
            let Err(CliError::Refused(envelope)) = read(&format!("{{\"ok\":false,\"error\":{{\"code\":\"{odd}\"}}}}"))
            else {
                panic!("not a refusal")
            };
            assert_eq!(envelope.code, None);
        }
        assert!(matches!(read("{\"ok\":false}"), Err(CliError::Refused(ErrorEnvelope { code: None, .. }))));
    }

    #[test]
    fn known_sentence_tells_what_is_missing() {
        let logged_out = "You must be logged in to access the \"projects\" plugin.\nPress Enter to open the browser";
        assert!(matches!(read(logged_out), Err(CliError::NotSetUp(Setup::LoggedOut))));
        let stderr = b"unknown command \"projects\" for \"stripe\"".to_vec();
        assert!(matches!(data(Ok(CliOutput { stdout: Vec::new(), stderr })), Err(CliError::NoPlugin)));
        assert!(matches!(data(Err(RunError::Missing)), Err(CliError::NotSetUp(Setup::CliMissing))));
    }

    #[test]
    fn version_is_read_from_its_line() {
        let read_version = |text: &str| version(Ok(CliOutput { stdout: text.as_bytes().to_vec(), stderr: Vec::new() }));
        assert_eq!(read_version("stripe version 1.39.2\n"), Some(vec![1, 39, 2]));
        assert_eq!(read_version("stripe version v1.52.0 (abc)\n"), Some(vec![1, 52, 0]));
        assert_eq!(read_version("stripe\n"), None);
    }
}
