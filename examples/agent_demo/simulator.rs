//! Runs the simulator of Stripe's API, for the real-money demo without money.

use std::{error::Error, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// A running simulator, killed when dropped.
pub struct Simulator {
    pub base: String,
    _process: Child,
}

impl Simulator {
    /// Starts a simulator over that workspace's account, in which the local service looks up keys.
    pub async fn start(server: &Path, folder: &Path, state: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(server);
        command.args(["simulator", "--listen", "127.0.0.1:0", "--dir"]).arg(folder).arg("--state-dir").arg(state);
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stderr = process.stderr.take().ok_or("the simulator has no stderr")?;
        let line = BufReader::new(stderr).lines().next_line().await?.unwrap_or_default();
        let base = line.strip_prefix("listening on ").ok_or("the simulator did not print its address")?;
        Ok(Self { base: base.to_owned(), _process: process })
    }
}

/// A key that is valid nowhere.
pub const KEY: &str = "rk_test_simulated0123456789";
