//! `doctor`: a line for each check, with advice below it.

use std::process::ExitCode;

use domain::diagnostic::Exit;

use super::{Output, render};
use crate::doctor::{Report, State};

/// Shows a report; the exit code tells whether there is a problem.
pub fn show(report: &Report, output: Output) -> ExitCode {
    render::result(report, &text(report), output);
    if report.healthy { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failure as u8) }
}

fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for repaired in &report.repaired {
        lines.push(match &repaired.error {
            None => format!("repaired  {}", repaired.what),
            Some(error) => format!("failed    {}: {error}", repaired.what),
        });
    }
    for finding in &report.checks {
        let check = finding.check.replace('_', " ");
        lines.push(format!("{:<8}  {check:<8}  {}", finding.state.as_str(), finding.found));
        lines.extend(finding.advice.iter().map(|advice| format!("{:20}{advice}", "")));
    }
    let count = |state| report.checks.iter().filter(|finding| finding.state == state).count();
    lines.push(match (count(State::Problem), count(State::Warning)) {
        (0, 0) => "No problems.".to_owned(),
        (problems, warnings) => format!("Problems: {problems}. Warnings: {warnings}."),
    });
    lines.join("\n")
}
