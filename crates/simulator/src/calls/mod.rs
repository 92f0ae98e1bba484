//! The calls of the API: parameters, effects and responses.

mod billing;
mod connections;
mod listing;
mod resource;
mod reveal;

use backends::simulated::{Account, PaymentMethod};
pub use connections::{check_pending, complete as complete_connection};
use serde::Serialize;
use serde_json::Value;

use super::{
    failure::Failure,
    faults::Fault,
    objects::{EligibilityObject, ProjectObject},
    parameters::Parameters,
    routes::Call,
};

/// The context of a call.
pub struct Context<'a> {
    pub account: &'a Account<'a>,
    pub payment_method: PaymentMethod,
    /// The base URL of the simulator: `http://127.0.0.1:12111`.
    pub base: &'a str,
    /// Whether the API key of the request is a live one.
    pub livemode: bool,
    pub idempotency_key: Option<&'a str>,
    pub fault: Option<&'a Fault>,
}

/// Performs a call; returns its JSON response.
///
/// # Errors
/// The error response of Stripe; the call then had no effect.
pub fn dispatch(call: &Call, context: &Context<'_>, mut parameters: Parameters) -> Result<Value, Failure> {
    let parameters = &mut parameters;
    match call {
        Call::ConnectionList => connections::list(context, parameters),
        Call::ConnectionRequestCreate => connections::request(context, parameters),
        Call::ConnectionRequestRetrieve(id) => connections::retrieve(context, id, parameters),
        Call::ConnectionRequestSubmit(id) => connections::submit(context, id, parameters),
        Call::ConnectionUnlink(id) => connections::unlink(context, id, parameters),
        Call::EligibilityRetrieve => eligibility(context, parameters),
        Call::PaymentMethodRequestCreate => billing::request_payment_method(context, parameters),
        Call::PaymentProfileRetrieve => billing::profile(context, parameters),
        Call::PaymentProfileUpdateLimit => billing::update_limit(context, parameters),
        Call::ProjectCreate => create_project(context, parameters),
        Call::ProviderList => listing::providers(context, parameters),
        Call::ResourceCreate => resource::create(context, parameters),
        Call::ResourceLink => resource::link(context, parameters),
        Call::ResourceList => resource::list(context, parameters),
        Call::ResourceRemove(id) => resource::remove(context, id, parameters),
        Call::ResourceRetrieve(id) => resource::retrieve(context, id, parameters),
        Call::ResourceReveal(id) => reveal::reveal(context, id, parameters),
        Call::ResourceRotate(id) => resource::rotate(context, id, parameters),
        Call::ResourceSubmit(id) => resource::submit(context, id, parameters),
        Call::ResourceUnlink(id) => resource::unlink(context, id, parameters),
        Call::ResourceUpdate(id) => resource::update(context, id, parameters),
        Call::ServiceList => listing::services(context, parameters),
    }
}

fn eligibility(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    parameters.finish()?;
    to_json(&EligibilityObject {
        object: "v2.provisioning.eligibility",
        is_eligible: true,
        requirements: Vec::new(),
        livemode: context.livemode,
    })
}

fn create_project(context: &Context<'_>, parameters: &mut Parameters) -> Result<Value, Failure> {
    let name = parameters.required_text("name")?;
    let catalog = parameters.one_of("catalog", CATALOGS)?.unwrap_or_else(|| "prod".to_owned());
    let project_profile = parameters.text("project_profile")?;
    parameters.finish()?;
    to_json(&ProjectObject {
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

fn to_json(object: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(object).map_err(|_| Failure::internal("the response cannot be written as JSON"))
}

/// Returns the mode of the objects in a request.
fn livemode(context: &Context<'_>, parameters: &mut Parameters) -> Result<bool, Failure> {
    match parameters.flag("livemode")? {
        Some(true) if !context.livemode => {
            Err(Failure::parameter("parameter_invalid", "livemode", "a test key cannot make live objects"))
        }
        Some(livemode) => Ok(livemode),
        None => Ok(context.livemode),
    }
}

/// The partitions of the catalog. Each serves the recorded rows.
const CATALOGS: &[&str] = &["dev", "prod", "testing"];
