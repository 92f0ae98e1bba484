//! Output of `scan`.

use domain::channel::Channel;
use domain::diagnostic::Diagnostic as _;
use domain::visible::visible;

use super::{Output, err, json, out, warn};
use crate::{
    error::Error,
    project_state::ProjectState,
    provisioner::{LeakPlace, LeakedKey, ScanReport},
    view::{LeakView, ScanView, visible_json},
};

pub fn scanned(report: &ScanReport, output: Output) {
    remarks(report);
    if output == Output::Json {
        return json(&ScanView::from(report));
    }
    findings(report);
    let looked =
        format!("{} and {}", counted(report.files_read, "file"), counted(report.histories_read, "git history"));
    if report.keys_known == 0 {
        out("Nothing to look for: no key was ever delivered from this state folder.");
    } else if report.findings.is_empty() {
        out(format_args!("Clean: none of {} in {looked}.", counted(report.keys_known, "key")));
    } else {
        out(format_args!("Found: {} live and {} dead, in {looked}.", report.live_count(), report.revoked_count()));
        if report.live_count() > 0 {
            out(
                "`stripe-projects-mcp rotate NAME` revokes a live key and writes a new one; `scan --rotate` does it for all.",
            );
        }
    }
}

/// Prints to stderr in both output formats: users and scripts wait for this line.
pub fn watching(places: usize) {
    err(format_args!("watching {}; Ctrl-C ends it", counted(places as u64, "place")));
}

/// Prints the new findings of a watch, one line each.
pub fn watched(report: &ScanReport, output: Output) {
    remarks(report);
    match output {
        Output::Json => {
            let lines = report.findings.iter().filter_map(|leak| serde_json::to_string(&LeakView::from(leak)).ok());
            lines.map(visible_json).for_each(out);
        }
        Output::People => findings(report),
    }
}

pub fn rotated(ProjectState { project, .. }: &ProjectState) {
    err(format_args!("rotated {}: version {} is in the env file", project.name, project.key_version));
}

pub fn not_rotated(names: &str, error: &Error) {
    err(format_args!("error: not rotated: {names}: {error}"));
    err(format_args!("hint: {}", error.hint(Channel::Cli)));
}

fn findings(report: &ScanReport) {
    for leak in &report.findings {
        let state = if leak.live { "live" } else { "dead" };
        let (project, version, mask) = (&leak.project, leak.key_version, leak.mask.as_str());
        out(format_args!("{state}  {project} version {version} ({mask})  {}", place(leak)));
    }
}

fn place(leak: &LeakedKey) -> String {
    let mut place = leak.file.as_deref().map(|file| visible(file).to_string()).unwrap_or_default();
    if let Some(line) = leak.line.filter(|_| !place.is_empty()) {
        place = format!("{place}:{line}");
    }
    if leak.place == LeakPlace::Name {
        place = format!("the name {place}");
    }
    if let (Some(repository), Some(object)) = (&leak.repository, &leak.object) {
        let short = |id: &str| id.chars().take(SHORT_ID).collect::<String>();
        let kept = match &leak.commit {
            Some(commit) if place.is_empty() => format!("the message of commit {}", short(commit)),
            Some(commit) => format!("{place}, commit {}", short(commit)),
            None => format!("object {}, which is in no commit", short(object)),
        };
        place = format!("{kept}, in the history of {}", visible(repository));
    }
    if leak.occurrences > 1 {
        place = format!("{place} ({} times)", leak.occurrences);
    }
    place
}

fn remarks(report: &ScanReport) {
    for warning in &report.warnings {
        warn(&visible(warning).to_string());
    }
    if report.unreadable_count > 0 {
        let (first, number) = (report.unreadable.first(), report.unreadable_count);
        let such_as = first.map(|path| format!(", such as {}", visible(path))).unwrap_or_default();
        warn(&format!("{} could not be read{such_as}", counted(number, "file or folder")));
    }
}

fn counted(number: u64, thing: &str) -> String {
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) if thing != "key" => format!("{number} {stem}ies"),
        _ if thing == "file or folder" => format!("{number} files or folders"),
        _ => format!("{number} {thing}s"),
    }
}

/// Longer than git's usual short ids.
const SHORT_ID: usize = 12;
