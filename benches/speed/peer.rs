//! The Python peer: a reference server with the same four tools, if a Python with the `mcp` package is installed.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub struct Peer {
    python: PathBuf,
}

impl Peer {
    /// Finds the Python of `MCP_PEER_PYTHON`, or else the one that `tests/clients/run` installed.
    pub fn find() -> Option<Self> {
        let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients/mcp_1/bin/python");
        let python = env::var_os(VARIABLE).map_or(installed, PathBuf::from);
        let mut probe = Command::new(&python);
        probe.args(["-c", "import mcp.server.fastmcp"]).stdout(Stdio::null()).stderr(Stdio::null());
        let usable = probe.status().is_ok_and(|status| status.success());
        if !usable {
            println!(
                "without the Python peer: {} cannot import mcp; set {VARIABLE} to a Python that can",
                python.display()
            );
        }
        usable.then_some(Self { python })
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/speed/peer.py"));
        command
    }
}

const VARIABLE: &str = "MCP_PEER_PYTHON";
