//! The well-known peer: a Python server with the same four tools, if there is a Python that can run it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub struct Peer {
    python: PathBuf,
}

impl Peer {
    /// The Python that `MCP_PEER_PYTHON` names, else the one that `tests/clients/run` has installed the package for.
    pub fn find() -> Option<Self> {
        let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients/mcp_1/bin/python");
        let python = env::var_os(VARIABLE).map_or(installed, PathBuf::from);
        let mut look = Command::new(&python);
        look.args(["-c", "import mcp.server.fastmcp"]).stdout(Stdio::null()).stderr(Stdio::null());
        let found = look.status().is_ok_and(|status| status.success());
        if !found {
            println!(
                "without the Python peer: {} cannot import mcp; {VARIABLE} may name one that can",
                python.display()
            );
        }
        found.then_some(Self { python })
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/speed/peer.py"));
        command
    }
}

const VARIABLE: &str = "MCP_PEER_PYTHON";
