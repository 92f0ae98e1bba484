//! Stripe's API on this machine: the simulator, for telling the story with real money without any.

use std::{error::Error, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// It ends with this value.
pub struct Simulator {
    pub base: String,
    _process: Child,
}

impl Simulator {
    /// Serves the world of that workspace, which the story's local service asks whose key it is shown.
    pub async fn start(server: &Path, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(server);
        command.args(["simulator", "--listen", "127.0.0.1:0", "--dir"]).arg(folder);
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let said = process.stderr.take().ok_or("the simulator has no stderr")?;
        let line = BufReader::new(said).lines().next_line().await?.unwrap_or_default();
        let base = line.strip_prefix("listening on ").ok_or("the simulator does not say where it listens")?;
        Ok(Self { base: base.to_owned(), _process: process })
    }
}

/// It opens nothing anywhere.
pub const KEY: &str = "rk_test_simulated0123456789";
