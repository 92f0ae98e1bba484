//! Fault injection: pending faults in `faults.json`, each removed when it has been applied.
//!
//! `[{ "verb": "add", "fault": "hang", "times": 1, "skip": 0, "only": "exa/api", … }]`: without `verb` it applies to any
//! verb, without `only` to any arguments; `times` defaults to 1, and `skip` lets that many calls pass first.

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
    arguments::Call,
    response::{Failure, Outcome},
};

/// The faults that apply to one call.
pub struct Faults(Vec<Value>);

impl Faults {
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Removes the faults for this call from the file and returns them. The principal holds the store's lock.
    pub fn take_due(root: &Path, call: &Call) -> Self {
        let file = root.join("faults.json");
        let Ok(text) = fs::read_to_string(&file) else {
            return Self::none();
        };
        let mut pending: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut due: Vec<Value> = Vec::new();
        for entry in &mut pending {
            assert!(FAULTS.contains(&entry["fault"].as_str().unwrap()), "unknown fault: {entry}");
            let matches_verb = entry["verb"].as_str().is_none_or(|verb| verb == call.verb);
            let matches_arguments =
                entry["only"].as_str().is_none_or(|word| call.argv.iter().any(|argument| argument == word));
            let twice = due.iter().any(|other| other["fault"] == entry["fault"]);
            if !matches_verb || !matches_arguments || twice {
                continue;
            }
            let (skip, times) = (entry["skip"].as_u64().unwrap_or(0), entry["times"].as_u64().unwrap_or(1));
            if skip > 0 {
                entry["skip"] = json!(skip - 1);
            } else if times > 0 {
                entry["times"] = json!(times - 1);
                due.push(entry.clone());
            }
        }
        pending.retain(|entry| entry["times"] != 0);
        fs::write(&file, serde_json::to_vec_pretty(&pending).unwrap()).unwrap();
        Self(due)
    }

    pub fn find(&self, fault: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry["fault"] == fault)
    }

    pub fn has(&self, fault: &str) -> bool {
        self.find(fault).is_some()
    }

    /// Applies faults that come before the effect; the store is not locked.
    pub fn apply_before_effect(&self, root: &Path) {
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

    /// Returns a failure that replaces the effect, if one is due.
    pub fn early_failure(&self, call: &Call) -> Option<Failure> {
        let failure = if let Some(entry) = self.find("error") {
            injected(entry)
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

    /// Applies faults between the effect and the response; the store is not locked.
    pub fn apply_after_effect(&self, root: &Path) {
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

    /// Replaces a success by a failure although the effect took place.
    pub fn late_failure(&self, outcome: Outcome) -> Outcome {
        match self.find("error_after") {
            Some(entry) => Err(injected(entry)),
            None => outcome,
        }
    }

    pub fn exit_code(&self) -> Option<ExitCode> {
        let code = self.find("exit")?["status"].as_u64().unwrap();
        Some(ExitCode::from(u8::try_from(code).unwrap()))
    }
}

/// Keeps stdout open, like a helper process that outlives its parent.
///
/// It ends by itself, so that a test that fails to kill it leaves no process behind.
pub fn hold_stdout() {
    thread::sleep(HANG);
}

/// Hangs until killed, with a child that inherits stdout.
///
/// Both share a lock on `hanging`, which the system releases when the last of them has exited. A test reads from it
/// whether the whole process group was killed.
fn hang(root: &Path) -> ! {
    let hanging = File::options().create(true).append(true).open(root.join("hanging")).unwrap();
    hanging.lock_shared().unwrap();
    let shared_lock = Stdio::from(hanging.try_clone().unwrap());
    let mut child = Command::new(env::current_exe().unwrap()).arg(HOLD_STDOUT).stdin(shared_lock).spawn().unwrap();
    fs::write(root.join("hung"), "").unwrap();
    thread::sleep(HANG);
    child.kill().unwrap();
    child.wait().unwrap();
    process::exit(1)
}

fn injected(entry: &Value) -> Failure {
    let text = |key: &str| entry[key].as_str().unwrap_or("UNKNOWN_ERROR").to_owned();
    let details = if entry["details"].is_object() { entry["details"].clone() } else { json!({}) };
    Failure::new(text("code"), text("message")).with(details)
}

/// The argument that turns this program into that helper.
pub const HOLD_STDOUT: &str = "hold-stdout";

const HANG: Duration = Duration::from_secs(120);

/// All names, because a misspelt fault would inject nothing and its test would pass.
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
