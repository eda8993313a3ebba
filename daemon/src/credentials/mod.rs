//! Keeps proven credentials in secrets of namespaces and in docker config files.
//!
//! One pass is gather (`gather`) -> plan (`entries`, `content`, `plan`, `removal`: pure) -> apply
//! (`apply`) -> report. Between passes `follow` serves new namespaces and undoes what others change,
//! with what is published and without asking anybody for a token.
//!
//! - Whose a secret is: its annotation `syncd.dev/owner` is the name of the namespace in which syncd
//!   keeps its own documents. That outlives a lost inventory, needs no right to read namespaces, and
//!   a person can write it to hand a secret over.
//! - Of secrets in namespaces only metadata is ever read: a tenant may have planted the content.
//! - The last good credentials are kept before the first secret is written, and what is made is in
//!   the inventory before it is made.

mod apply;
mod content;
mod due;
mod entries;
pub mod file;
mod files;
mod follow;
mod gather;
mod inventory;
mod memory;
mod pass;
mod plan;
pub mod prove;
mod record;
mod removal;
mod state;
mod tell;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::Arc;

use syncd_config::Config;
use syncd_providers::Clock;

use crate::cluster::{Cluster, ClusterError};
use crate::oci::RegistryClient;
use crate::tokens::{LastGoodStore, Tokens};

pub use due::next_due;
pub use follow::{FollowNotice, follow};
pub use pass::pass;
pub use prove::{Proof, prove};
pub use state::CredentialState;

/// What a pass works with.
#[derive(Clone)]
pub struct CredentialContext {
    /// The configuration of this pass.
    pub config: Arc<Config>,
    /// The tokens of its registries.
    pub tokens: Tokens,
    /// The process's registry client, for proofs.
    pub client: RegistryClient,
    /// The cluster; `None` when nothing asks for one. One that cannot be reached is said in the
    /// report, and files are kept nevertheless.
    pub cluster: Option<Result<Cluster, Arc<ClusterError>>>,
    /// Where the last good credentials are kept; the inventory lies beside them.
    pub last_good: LastGoodStore,
    /// What outlives a pass and a reload.
    pub state: CredentialState,
    /// The time, for what ends long after the pass began.
    pub clock: Clock,
    /// Names of entries whose registry is this process's own and has not finished its first pass:
    /// nothing can be said about their credentials yet, so none is published.
    pub hold: Vec<String>,
}

/// How a pass is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassOptions {
    /// Stop after the plan and report it: nothing is written anywhere.
    pub dry_run: bool,
    /// The id of the pending removal that a person has seen and wants.
    pub confirm_removal: Option<String>,
    /// Ask for new tokens even where none is due.
    pub renew: bool,
}

/// An error with its causes, in one line.
fn words(error: &(impl StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    syncd_config::text::clean_to(&text, 600)
}
