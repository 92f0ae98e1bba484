//! The envelope of every response, and the faults that damage it.

use std::{
    io::{Write as _, stdout},
    path::Path,
    process::ExitCode,
};

use serde_json::{Value, json};

use crate::{arguments::Call, faults::Faults};

/// The envelope's `data`, or its error.
pub type Outcome = Result<Value, Failure>;

pub struct Failure {
    pub code: String,
    pub message: String,
    pub details: Value,
}

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: json!({}) }
    }

    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

/// Prints the response. As recorded, the exit code carries little information.
pub fn print(call: &Call, faults: &Faults, outcome: Outcome, credential: &str) -> ExitCode {
    let outcome = faults.late_failure(outcome);
    let exit = exit_code(&outcome);
    let mut envelope = envelope(call, outcome);
    if faults.has("leaky") {
        eprintln!("debug: response body contained {credential}");
        leak(&mut envelope, credential);
    }
    if faults.has("huge") {
        for _ in 0..80_000 {
            line(&"·".repeat(32)); // 64 bytes and a line end: 5.2 MB together
        }
    }
    if PRINTS_UPDATE_NOTICE.contains(&call.verb.as_str()) {
        line("A newer version of the Stripe CLI is available, please update to: v1.53.1");
    }
    if PRINTS_WARNING.contains(&call.verb.as_str()) {
        eprintln!("Warning: Stripe Projects is in developer preview.");
    }
    let text = serde_json::to_string(&envelope).unwrap();
    if faults.has("truncated") {
        let half = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= text.len() / 2).last().unwrap_or(0);
        write!(stdout(), "{}", text.get(..half).unwrap()).unwrap_or(());
    } else if faults.has("garbage") {
        line("<html><head><style>body { color: red }</style></head>502 Bad Gateway</html>");
    } else if call.has("json") {
        line(&text);
    } else {
        line(if envelope["ok"] == true { "Done." } else { "That did not work." });
    }
    if faults.has("two_envelopes") {
        let ok = envelope["ok"] != true;
        line(&json!({ "ok": ok, "command": envelope["command"], "version": "0.1", "data": {} }).to_string());
    }
    faults.exit_code().unwrap_or(exit)
}

/// Recorded: codes of provider errors are in lower case, and such errors exit with 0.
fn exit_code(outcome: &Outcome) -> ExitCode {
    match outcome {
        Err(failure) if failure.code.starts_with(|c: char| c.is_ascii_uppercase()) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn envelope(call: &Call, outcome: Outcome) -> Value {
    let verb = call.verb.split(" --").next().unwrap();
    let meta = json!({
        "authenticated": true,
        "project_initialized": Path::new(".projects/state.json").exists(),
    });
    let command = format!("projects {verb}");
    match outcome {
        Ok(data) => json!({
            "ok": true, "command": command, "version": "0.1", "data": data,
            "warnings": [], "next_steps": [], "meta": meta,
        }),
        Err(Failure { code, message, details }) => json!({
            "ok": false, "command": command, "version": "0.1",
            "error": { "code": code, "message": message, "details": details },
            "warnings": [], "next_steps": [], "meta": meta,
        }),
    }
}

fn leak(envelope: &mut Value, credential: &str) {
    let message = format!("The provider answered unexpectedly: {{\"api_key\":\"{credential}\"}}");
    if envelope["ok"] == true {
        envelope.as_object_mut().unwrap().remove("data");
    }
    envelope["ok"] = false.into();
    envelope["error"] = json!({ "code": "UNKNOWN_ERROR", "message": message, "details": { "value": credential } });
}

/// Prints a line, and ignores a closed stdout.
fn line(text: &str) {
    writeln!(stdout(), "{text}").unwrap_or(());
}

/// Recorded: verbs that print a notice before the envelope.
const PRINTS_UPDATE_NOTICE: [&str; 3] = ["add", "pull", "env --pull"];

/// Recorded: verbs that print a warning on stderr.
const PRINTS_WARNING: [&str; 3] = ["add", "rotate", "remove"];
