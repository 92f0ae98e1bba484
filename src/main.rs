//! The binary: hands its arguments over and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    stripe_projects_mcp::run(std::env::args_os())
}
