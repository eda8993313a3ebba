//! Every type that leaves the process: printed, served or kept. No logic.
//!
//! Other programs rely on the JSON forms: fields may be added, never renamed.

mod credentials;
mod daemon;
mod diagnose;
mod mirror;
mod task;

pub use credentials::{
    CredentialError, CredentialReport, CredentialResult, CredentialTotals, PendingRemoval,
    RegistryCredential, TargetOutcome, TargetReport,
};
pub use daemon::{ConfigProblem, ConfigStatus, DaemonReport, TasksReport};
pub use diagnose::{
    Alternative, Cause, Check, CheckStatus, Confidence, DiagnoseReport, Fix, PodRef, Verdict,
};
pub use mirror::{ImageError, ImageOutcome, ImageReport, MirrorReport, MirrorTotals, Requests, Verified};
pub use task::{Activation, LastRun, Outcome, TaskStatus};
