//! The calls of the API: what each takes, does to the store, and answers.

mod billing;
mod connections;
mod listing;
mod resource;
mod reveal;

pub use connections::complete as complete_connection;
use serde::Serialize;
use serde_json::Value;

use super::{
    failure::Failure,
    faults::Fault,
    objects::{EligibilityObject, ProjectObject},
    parameters::Parameters,
    routes::Call,
};
use crate::backend::simulated::{Account, PaymentMethod};

/// Under which circumstances a call is made.
pub struct Context<'a> {
    pub account: &'a Account<'a>,
    pub payment_method: PaymentMethod,
    /// Where the simulator is: `http://127.0.0.1:12111`.
    pub base: &'a str,
    /// Whether the key of the request is a live one.
    pub livemode: bool,
    pub idempotency_key: Option<&'a str>,
    pub fault: Option<&'a Fault>,
}

/// Makes a call; the answer is the JSON that travels.
///
/// # Errors
/// What Stripe would say, and then nothing has happened.
pub fn make(call: &Call, context: &Context<'_>, mut given: Parameters) -> Result<Value, Failure> {
    let given = &mut given;
    let answer = match call {
        Call::ConnectionList => connections::list(context, given),
        Call::ConnectionRequestCreate => connections::request(context, given),
        Call::ConnectionRequestRetrieve(id) => connections::retrieve(context, id, given),
        Call::ConnectionRequestSubmit(id) => connections::submit(context, id, given),
        Call::ConnectionUnlink(id) => connections::unlink(context, id, given),
        Call::EligibilityRetrieve => eligibility(context, given),
        Call::PaymentMethodRequestCreate => billing::request_payment_method(context, given),
        Call::PaymentProfileRetrieve => billing::profile(context, given),
        Call::PaymentProfileUpdateLimit => billing::update_limit(context, given),
        Call::ProjectCreate => create_project(context, given),
        Call::ProviderList => listing::providers(context, given),
        Call::ResourceCreate => resource::create(context, given),
        Call::ResourceLink => resource::link(context, given),
        Call::ResourceRemove(id) => resource::remove(context, id, given),
        Call::ResourceRetrieve(id) => resource::retrieve(context, id, given),
        Call::ResourceReveal(id) => reveal::reveal(context, id, given),
        Call::ResourceRotate(id) => resource::rotate(context, id, given),
        Call::ResourceSubmit(id) => resource::submit(context, id, given),
        Call::ResourceUnlink(id) => resource::unlink(context, id, given),
        Call::ResourceUpdate(id) => resource::update(context, id, given),
        Call::ServiceList => listing::services(context, given),
    }?;
    Ok(answer)
}

fn eligibility(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    given.finish()?;
    answer(&EligibilityObject {
        object: "v2.provisioning.eligibility",
        is_eligible: true,
        requirements: Vec::new(),
        livemode: context.livemode,
    })
}

fn create_project(context: &Context<'_>, given: &mut Parameters) -> Result<Value, Failure> {
    let name = given.required_text("name")?;
    let catalog = given.one_of("catalog", CATALOGS)?.unwrap_or_else(|| "prod".to_owned());
    let project_profile = given.text("project_profile")?;
    given.finish()?;
    answer(&ProjectObject {
        id: context.account.create_project(&name, &catalog, context.livemode)?,
        object: "v2.provisioning.project",
        name,
        catalog,
        created: context.account.now(),
        livemode: context.livemode,
        project_profile,
        profile: None,
    })
}

fn answer(object: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(object).map_err(|_| Failure::internal("the answer cannot be written as JSON"))
}

/// Which mode the objects of a request are in.
fn livemode(context: &Context<'_>, given: &mut Parameters) -> Result<bool, Failure> {
    match given.flag("livemode")? {
        Some(true) if !context.livemode => {
            Err(Failure::parameter("parameter_invalid", "livemode", "a test key cannot make live objects"))
        }
        Some(livemode) => Ok(livemode),
        None => Ok(context.livemode),
    }
}

/// The partitions of the catalog. The recorded rows are served in every one of them.
const CATALOGS: &[&str] = &["dev", "prod", "testing"];
