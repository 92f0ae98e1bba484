//! rmcp's own client, in either protocol era, with the real binary as its child.

use rmcp::{
    ClientLifecycleMode, RoleClient, ServiceError, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResult, ProtocolVersion},
    serve_client_with_lifecycle,
    service::RunningService,
    transport::TokioChildProcess,
};
use serde_json::Value;

use crate::{secret_leaks::assert_no_key_in_output, workspace::Workspace};

/// The generation of the protocol that the client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Era {
    Legacy,
    Modern,
}

pub const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// A connection to its own server.
pub struct Client(pub RunningService<RoleClient, ()>);

impl Client {
    pub async fn connect(workspace: &Workspace, era: Era) -> Self {
        Self::start(workspace.command(&["serve"]), era).await
    }

    pub async fn start(command: std::process::Command, era: Era) -> Self {
        let transport = TokioChildProcess::new(tokio::process::Command::from(command)).unwrap();
        Self(match era {
            Era::Legacy => ().serve(transport).await.unwrap(),
            Era::Modern => {
                let lifecycle =
                    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
                serve_client_with_lifecycle((), transport, lifecycle).await.unwrap()
            }
        })
    }

    /// Calls a tool and asserts that the text equals the structured content.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let arguments = arguments.as_object().unwrap().clone();
        let result = self.0.call_tool(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)).await?;
        assert_no_key_in_output(&serde_json::to_vec(&result).unwrap());
        let text: Value = serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap();
        assert_eq!(Some(&text), result.structured_content.as_ref());
        Ok(result)
    }

    /// Calls a tool that must succeed.
    pub async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await.unwrap();
        assert_eq!(result.is_error, Some(false), "{result:?}");
        result.structured_content.unwrap()
    }

    /// Calls a tool that must return an error that a model can act on.
    pub async fn call_refused(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{result:?}");
        result.structured_content.unwrap()
    }
}

/// Returns the JSON-RPC code of the error.
pub fn code<T: std::fmt::Debug>(answer: Result<T, ServiceError>) -> i32 {
    match answer.unwrap_err() {
        ServiceError::McpError(error) => error.code.0,
        other => panic!("no answer of the server's: {other}"),
    }
}
