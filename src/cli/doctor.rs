//! `doctor`: a line for each check, and beneath it what to do.

use std::process::ExitCode;

use super::{Output, render};
use crate::{
    diagnostic::Exit,
    doctor::{self, Report, State},
    provisioner::{Principal, Provisioner},
};

/// Looks, repairs if that was asked for, and tells by the exit code whether all is well.
pub fn run(repair: bool, provisioner: &Provisioner, principal: &Principal, output: Output) -> ExitCode {
    let Provisioner { ports, projects, .. } = provisioner;
    let report = if repair { doctor::repair(ports, projects, principal) } else { doctor::examine(ports) };
    render::result(&report, &text(&report), output);
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
        (0, 0) => "All is well.".to_owned(),
        (problems, warnings) => format!("Problems: {problems}. Warnings: {warnings}."),
    });
    lines.join("\n")
}
