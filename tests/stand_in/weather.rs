//! What goes wrong, on a test's word: faults in `weather.json`, each used up as it strikes.
//!
//! `[{ "verb": "add", "fault": "hang", "times": 1, "skip": 0, "only": "exa/api", … }]`: without `verb` any verb, without
//! `only` any arguments; `times` is 1 unless said, and `skip` lets that many calls pass first.

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::{self, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    answer::{Failure, Outcome},
    arguments::Call,
};

/// The faults that strike one call.
pub struct Weather(Vec<Value>);

impl Weather {
    pub fn fair() -> Self {
        Self(Vec::new())
    }

    /// Takes what is due for this call out of the file. The principal holds the world.
    pub fn strike(root: &Path, call: &Call) -> Self {
        let file = root.join("weather.json");
        let Ok(text) = fs::read_to_string(&file) else {
            return Self::fair();
        };
        let mut forecast: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut struck: Vec<Value> = Vec::new();
        for entry in &mut forecast {
            assert!(FAULTS.contains(&entry["fault"].as_str().unwrap()), "no such fault: {entry}");
            let of_verb = entry["verb"].as_str().is_none_or(|verb| verb == call.verb);
            let of_words = entry["only"].as_str().is_none_or(|word| call.argv.iter().any(|given| given == word));
            let twice = struck.iter().any(|other| other["fault"] == entry["fault"]);
            if !of_verb || !of_words || twice {
                continue;
            }
            let (skip, times) = (entry["skip"].as_u64().unwrap_or(0), entry["times"].as_u64().unwrap_or(1));
            if skip > 0 {
                entry["skip"] = json!(skip - 1);
            } else if times > 0 {
                entry["times"] = json!(times - 1);
                struck.push(entry.clone());
            }
        }
        forecast.retain(|entry| entry["times"] != 0);
        fs::write(&file, serde_json::to_vec_pretty(&forecast).unwrap()).unwrap();
        Self(struck)
    }

    pub fn find(&self, fault: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry["fault"] == fault)
    }

    pub fn has(&self, fault: &str) -> bool {
        self.find(fault).is_some()
    }

    /// What comes before any effect; nobody holds the world.
    pub fn before(&self, root: &Path) {
        if let Some(slow) = self.find("slow") {
            thread::sleep(Duration::from_millis(slow["ms"].as_u64().unwrap()));
        }
        if self.has("die_before") {
            process::abort();
        }
        if self.has("hang") {
            hang(root);
        }
    }

    /// The answer instead of an effect, if the weather has one.
    pub fn refusal(&self, call: &Call) -> Option<Failure> {
        let failure = if let Some(entry) = self.find("error") {
            chosen(entry)
        } else if self.has("not_eligible") {
            Failure::new("ACCOUNT_NOT_ELIGIBLE", "This account is not eligible for Stripe Projects.")
        } else if self.has("merchant_mismatch") {
            Failure::new(
                "MERCHANT_MISMATCH",
                "This project belongs to another merchant than the one you are logged in to.",
            )
        } else {
            return None;
        };
        let row =
            json!({ "label": "Account", "pass": false, "code": failure.code, "remedy": "Log in to another account." });
        Some(if call.has("preflight") { failure.with(json!({ "preflight": [row] })) } else { failure })
    }

    /// What comes when the effect is done and nothing is said yet; nobody holds the world.
    pub fn after(&self, root: &Path) {
        if self.has("half_written_state") {
            let state = Path::new(".projects/state.json");
            let whole = fs::read(state).unwrap_or_else(|_| b"{ \"version\": 1, \"pro".to_vec());
            fs::write(state, whole.get(..whole.len() / 2).unwrap()).unwrap();
        }
        if self.has("die_after") {
            process::abort();
        }
        if self.has("hang_after") {
            hang(root);
        }
    }

    /// The effect is done, and the answer denies it.
    pub fn late_failure(&self, outcome: Outcome) -> Outcome {
        match self.find("error_after") {
            Some(entry) => Err(chosen(entry)),
            None => outcome,
        }
    }

    pub fn exit_code(&self) -> Option<ExitCode> {
        let code = self.find("exit")?["status"].as_u64().unwrap();
        Some(ExitCode::from(u8::try_from(code).unwrap()))
    }
}

/// Keeps stdout open, as a helper does that a tool has started and forgotten. Not for ever: a test that fails to end
/// it leaves nothing behind.
pub fn hold() {
    thread::sleep(LONG);
}

/// Waits to be killed, with a child that inherits stdout. Both share a lock on `hanging`, which the system releases
/// when the last of them is dead: that is how a test sees whether the whole group was ended.
fn hang(root: &Path) -> ! {
    let hanging = File::options().create(true).append(true).open(root.join("hanging")).unwrap();
    hanging.lock_shared().unwrap();
    let held = Stdio::from(hanging.try_clone().unwrap());
    let mut child = Command::new(env::current_exe().unwrap()).arg(HOLD).stdin(held).spawn().unwrap();
    fs::write(root.join("hung"), "").unwrap();
    thread::sleep(LONG);
    child.kill().unwrap();
    child.wait().unwrap();
    process::exit(1)
}

fn chosen(entry: &Value) -> Failure {
    let text = |key: &str| entry[key].as_str().unwrap_or("UNKNOWN_ERROR").to_owned();
    let details = if entry["details"].is_object() { entry["details"].clone() } else { json!({}) };
    Failure::new(text("code"), text("message")).with(details)
}

/// The argument that makes this program the forgotten helper.
pub const HOLD: &str = "hold-stdout";

const LONG: Duration = Duration::from_secs(120);

/// A misspelt fault would make a test pass in fair weather.
const FAULTS: [&str; 29] = [
    "browser",
    "cli_too_old",
    "die_after",
    "die_before",
    "error",
    "error_after",
    "exit",
    "garbage",
    "half_written_state",
    "hang",
    "hang_after",
    "huge",
    "leaky",
    "logged_out",
    "merchant_mismatch",
    "newline_credential",
    "no_change",
    "no_lists",
    "not_eligible",
    "not_ready",
    "other_project",
    "plugin_missing",
    "repeated_row",
    "service_gone",
    "slow",
    "survives",
    "truncated",
    "two_envelopes",
    "unnamed_row",
];
