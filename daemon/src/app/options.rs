//! What the daemon is given, and whom it tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::Config;
use syncd_providers::Clock;

use crate::cluster::ClusterOptions;
use crate::report::{Activation, CredentialReport, MirrorReport};

/// What `run` needs to know.
pub struct RunOptions {
    /// The configuration file.
    pub config_path: PathBuf,
    /// How long to wait for another process that holds the store.
    pub lock_wait: Duration,
    /// Which cluster, when credentials are kept in one.
    pub cluster: ClusterOptions,
    /// The wall clock.
    pub clock: Clock,
    /// Told of what a person at the terminal wants to know.
    pub notify: Notify,
}

/// Told of what a person at the terminal wants to know.
pub type Notify = Arc<dyn Fn(Notice<'_>) + Send + Sync>;

/// What a person at the terminal wants to know.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// Doubts about the configuration.
    Warnings(&'a [syncd_config::Problem]),
    /// Another process holds the store; in its words.
    Waiting(&'a str),
    /// Everything listens; the tasks begin.
    Ready(&'a Config),
    /// The first mirror pass since the start has ended.
    FirstPass(&'a Config, &'a MirrorReport),
    /// A later one has.
    Pass(Activation, &'a MirrorReport),
    /// A credential pass has ended.
    Credentials(Activation, &'a CredentialReport),
    /// The end begins.
    Stopping,
}
