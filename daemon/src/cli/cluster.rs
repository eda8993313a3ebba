//! How a command finds the cluster.

use std::path::PathBuf;

use crate::cluster::ClusterOptions;

/// Options of every command that talks to a cluster.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for the cluster")]
pub(super) struct ClusterArgs {
    /// A kubeconfig [default: $KUBECONFIG, else the pod's own account, else
    /// ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in it [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl ClusterArgs {
    /// The same in the words of the cluster's client.
    pub(super) fn options(&self) -> ClusterOptions {
        ClusterOptions {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }
}
