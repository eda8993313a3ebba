//! How a command finds the cluster.

use std::path::PathBuf;

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
