//! Keeps proven credentials in secrets of namespaces and in docker config files.
//!
//! One pass is gather (`gather`) -> plan (`plan`, pure) -> apply (`apply`) -> report.

mod due;
pub mod prove;

pub use due::next_due;
pub use prove::{Proof, prove};

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
