//! Facts of a request that do not depend on its method: client, protocol era, signature of the result.

use domain::principal::Principal;
use rmcp::{
    ErrorData, RoleServer,
    model::{Implementation, MetaObject, PaginatedRequestParams, ProtocolVersion},
    service::RequestContext,
};

/// Returns the client as it declares itself.
pub fn principal(context: &RequestContext<RoleServer>) -> Principal {
    let client = context.client_info().map(|client| format!("{} {}", client.name, client.version));
    Principal::agent(&client.unwrap_or_default())
}

/// Tells whether questions travel in results, and the client calls again with the answer.
pub fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Returns the server's name for a result's `_meta`: the modern era has no handshake that would tell it.
pub fn signature(context: &RequestContext<RoleServer>) -> Option<MetaObject> {
    let server = serde_json::to_value(implementation()).ok().filter(|_| is_modern(context))?;
    let mut meta = MetaObject::default();
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), server);
    Some(meta)
}

pub fn implementation() -> Implementation {
    Implementation::new("stripe-projects", env!("CARGO_PKG_VERSION")).with_title("Stripe Projects, capped")
}

/// No list has a second page.
pub fn refuse_cursor(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(_) => Err(ErrorData::invalid_params("unknown cursor", None)),
    }
}
