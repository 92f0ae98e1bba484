//! File access: private files, git, env files, host configurations, the registry and the leak scan.
//!
//! One module for each kind of file; all of them write through `fs`, which is atomic and private.

pub mod dotenv;
pub mod env_file;
pub mod fs;
pub mod git;
pub mod host_config;
pub mod registry;
pub mod scan;
pub mod state_folder;
