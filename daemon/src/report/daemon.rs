//! What the running daemon says about itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CredentialReport, MirrorReport, TaskStatus};

/// `GET /api/v1/report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonReport {
    /// syncd's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// The configuration in use.
    pub config: ConfigStatus,
    /// The scheduled tasks.
    pub tasks: Vec<TaskStatus>,
    /// The last mirror pass that ended.
    pub mirror: Option<MirrorReport>,
    /// The last credential pass that ended, with what was written since.
    #[serde(default)]
    pub credentials: Option<CredentialReport>,
}

/// `syncd get tasks -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TasksReport {
    /// The configuration in use.
    pub config: ConfigStatus,
    /// The scheduled tasks.
    pub tasks: Vec<TaskStatus>,
}

/// Which configuration is in use, and what is wrong with the file now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The file.
    pub file: String,
    /// When the configuration in use was read.
    pub loaded: Timestamp,
    /// Why the file as it is now is not in use.
    pub problem: Option<ConfigProblem>,
    /// Keys whose new value counts after a restart.
    pub needs_restart: Vec<String>,
}

/// A changed file that is not in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigProblem {
    /// When it was seen.
    pub since: Timestamp,
    /// All its problems, as `syncd config check` prints them.
    pub message: String,
}
