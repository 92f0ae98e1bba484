//! What `stripe` prints and writes, as `crate::fuzzing` may hand it in.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    catalog,
    cli_error::{CliError, Invocation},
    envelope,
    runner::Output,
    services::{Row, Rows},
    spend, variables,
};
use crate::{
    backend::{BackendError, Order},
    dotenv::EnvText,
    money::Cents,
    name::{ProjectName, ServiceRef},
    project::ProjectId,
};

/// Everything that could be said of an answer, whatever it was the answer to, and of the variables that came with it.
pub fn heard(printed: &str, variables: &str) -> Vec<BackendError> {
    // On one stream or the other.
    let to_stdout = || Output { stdout: printed.as_bytes().to_vec(), stderr: Vec::new() };
    let to_stderr = || Output { stdout: Vec::new(), stderr: printed.as_bytes().to_vec() };
    let _ = envelope::version(Ok(to_stdout()));
    let mut said = Vec::new();
    for output in [&to_stdout as &dyn Fn() -> Output, &to_stderr] {
        for of in [CliError::for_read, CliError::for_write] {
            said.extend(envelope::data(Ok(output())).err().map(|cli_error| of(cli_error, asked())));
        }
    }
    let Ok(data) = envelope::data(Ok(to_stdout())) else { return said };
    let _ = spend::amount(&data);
    said.extend(orders().iter().filter_map(|order| catalog::check(&data, order).err()));
    match Rows::read(&data) {
        Ok(rows) => said.extend(rows.services().flat_map(|row| of_variables(variables, row, &rows))),
        Err(error) => said.push(error),
    }
    said
}

fn of_variables(variables: &str, row: &Row, rows: &Rows) -> Vec<BackendError> {
    let text = || EnvText::new(variables.as_bytes().to_vec());
    let wanted = [Vec::new(), vec!["API_KEY".to_owned()]];
    let read = wanted.into_iter().map(|wanted| variables::credentials(&text(), row, rows, &wanted));
    let said = read.flat_map(|read| match read {
        Ok(credentials) => [None, Some("ID")].map(|name| credentials.pick(name).err()),
        Err(error) => [Some(error), None],
    });
    said.flatten().collect()
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

fn asked() -> Invocation<'static> {
    Invocation { verb: "add", provider: Some("exa"), folder: Path::new("/state/stripe-cli") }
}
