//! Entry points for `stripe_projects_mcp::fuzzing`: the output and the variables of `stripe`.

use std::path::Path;

use domain::{
    money::Cents,
    name::{ProjectName, ServiceRef},
    project::ProjectId,
};
use files::dotenv::EnvText;
use serde_json::{Map, Value};

use super::{
    catalog,
    cli_error::{CliError, Invocation},
    envelope,
    runner::CliOutput,
    services::{ServiceList, ServiceRow},
    spend, variables,
};
use crate::{BackendError, Order};

/// Returns every error that an output and its variables can lead to, whatever the command was.
pub fn output_errors(printed: &str, variables: &str) -> Vec<BackendError> {
    let to_stdout = || CliOutput { stdout: printed.as_bytes().to_vec(), stderr: Vec::new() };
    let to_stderr = || CliOutput { stdout: Vec::new(), stderr: printed.as_bytes().to_vec() };
    let _ = envelope::version(Ok(to_stdout()));
    let mut errors = Vec::new();
    for output in [&to_stdout as &dyn Fn() -> CliOutput, &to_stderr] {
        for convert in [CliError::for_read, CliError::for_write] {
            errors.extend(envelope::data(Ok(output())).err().map(|cli_error| convert(cli_error, invocation())));
        }
    }
    let Ok(data) = envelope::data(Ok(to_stdout())) else { return errors };
    let _ = spend::amount(&data);
    errors.extend(orders().iter().filter_map(|order| catalog::check(&data, order).err()));
    match ServiceList::read(&data) {
        Ok(rows) => errors.extend(rows.services().flat_map(|row| variable_errors(variables, row, &rows))),
        Err(error) => errors.push(error),
    }
    errors
}

fn variable_errors(variables: &str, row: &ServiceRow, rows: &ServiceList) -> Vec<BackendError> {
    let text = || EnvText::new(variables.as_bytes().to_vec());
    let wanted = [Vec::new(), vec!["API_KEY".to_owned()]];
    let read = wanted.into_iter().map(|wanted| variables::credentials(&text(), row, rows, &wanted));
    let errors = read.flat_map(|read| match read {
        Ok(credentials) => [None, Some("ID")].map(|name| credentials.pick(name).err()),
        Err(error) => [Some(error), None],
    });
    errors.flatten().collect()
}

fn orders() -> Vec<Order> {
    let config: Map<String, Value> = [("size".to_owned(), Value::from(1))].into_iter().collect();
    let order = |paid, plan: Option<&str>| {
        Some(Order {
            id: ProjectId::random().ok()?,
            name: ProjectName::parse("a").ok()?,
            service: ServiceRef::parse("exa/api").ok()?,
            plan: plan.and_then(|plan| ServiceRef::parse(plan).ok()),
            config: config.clone(),
            credentials: Vec::new(),
            cap: Cents::parse_usd("1").ok()?,
            paid,
            terms_accepted: true,
        })
    };
    [order(true, None), order(false, None), order(false, Some("exa/free"))].into_iter().flatten().collect()
}

fn invocation() -> Invocation<'static> {
    Invocation { verb: "add", provider: Some("exa"), folder: Path::new("/state/stripe-cli") }
}
