//! The one table of exit codes, for all verbs.

use std::process::ExitCode;

use crate::report::{
    Cause, CredentialReport, CredentialResult, DiagnoseReport, ImageOutcome, MirrorReport,
    RegistryCredential, TargetOutcome,
};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done, nothing wrong.
    Done = 0,
    /// It worked, and the answer is "not well".
    NotWell = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Could not decide, or could not start.
    Undecided = 3,
    /// Not permitted.
    NotPermitted = 4,
    /// Not reachable, or not found at the source.
    NotReachable = 5,
    /// Some of it was done.
    Partly = 6,
    /// A digest or a size is wrong.
    Integrity = 7,
}

/// From the worst on; what is not here is not bad.
const WORST_FIRST: [Exit; 7] = [
    Exit::Usage,
    Exit::Integrity,
    Exit::Partly,
    Exit::NotPermitted,
    Exit::NotReachable,
    Exit::Undecided,
    Exit::NotWell,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The worst of several ends.
pub(crate) fn worst(ends: &[Exit]) -> Exit {
    let found = WORST_FIRST.into_iter().find(|exit| ends.contains(exit));
    found.unwrap_or(Exit::Done)
}

/// The end of `sync mirror`. `pending_counts`: with `--exit-code`, an image that would be copied is
/// an answer of its own.
pub(crate) fn of_mirror(report: &MirrorReport, pending_counts: bool) -> Exit {
    let mut ends = Vec::new();
    for image in &report.images {
        match (image.outcome, &image.error) {
            (ImageOutcome::Failed, Some(error)) => ends.push(of_kind(&error.kind)),
            (ImageOutcome::Failed, None) => ends.push(Exit::Undecided),
            (ImageOutcome::Skipped, _) if pending_counts => ends.push(Exit::NotWell),
            _ => {}
        }
    }
    let is = |outcome| report.images.iter().any(|image| image.outcome == outcome);
    if is(ImageOutcome::Failed) && (is(ImageOutcome::Copied) || is(ImageOutcome::Present)) {
        ends.push(Exit::Partly);
    }
    worst(&ends)
}

/// The end of `sync credentials`. What failed counts by its class; a credential that stays because
/// the new one is not good, a refused target and a removal that waits for a person are an answer of
/// their own. `pending_counts`: with `--exit-code`, so is a target that would be written.
pub(crate) fn of_credentials(report: &CredentialReport, pending_counts: bool) -> Exit {
    let mut ends = Vec::new();
    for registry in &report.registries {
        match (registry.result, &registry.error) {
            (CredentialResult::Failed, Some(error)) => ends.push(of_kind(&error.kind)),
            (CredentialResult::Failed, None) => ends.push(Exit::Undecided),
            (_, Some(_)) => ends.push(Exit::NotWell),
            (_, None) => {}
        }
    }
    for target in &report.targets {
        match target.outcome {
            TargetOutcome::Failed => ends.push(of_kind(target.kind.as_deref().unwrap_or_default())),
            TargetOutcome::Refused => ends.push(Exit::NotWell),
            TargetOutcome::Created | TargetOutcome::Updated | TargetOutcome::Removed if pending_counts => {
                ends.push(Exit::NotWell);
            }
            _ => {}
        }
    }
    if !report.incomplete.is_empty() {
        ends.push(Exit::Undecided);
    }
    if report.removal.is_some() {
        ends.push(Exit::NotWell);
    }
    if some_worked(report) {
        ends.push(Exit::Partly);
    }
    worst(&ends)
}

/// Whether something failed, and something of the same sort did not.
fn some_worked(report: &CredentialReport) -> bool {
    let of =
        |wanted| move |registry: &RegistryCredential| (registry.result == CredentialResult::Failed) == wanted;
    let registries = report.registries.iter().any(of(true)) && report.registries.iter().any(of(false));
    let stands = |outcome| !matches!(outcome, TargetOutcome::Failed | TargetOutcome::Refused);
    let some_stand = report.targets.iter().any(|target| stands(target.outcome));
    let some_failed = report
        .targets
        .iter()
        .any(|target| target.outcome == TargetOutcome::Failed);
    registries || (some_stand && (some_failed || !report.incomplete.is_empty()))
}

/// The end of a command that did several things: partly, when one failed and another did not.
pub(crate) fn of_all(ends: &[Exit]) -> Exit {
    let failed = |exit: &Exit| matches!(exit, Exit::NotPermitted | Exit::NotReachable | Exit::Undecided);
    if ends.iter().any(failed) && !ends.iter().all(failed) {
        return worst(&[ends, &[Exit::Partly]].concat());
    }
    worst(ends)
}

/// The end of `diagnose`.
pub(crate) fn of_diagnosis(report: &DiagnoseReport) -> Exit {
    match report.verdict.cause {
        Cause::None => Exit::Done,
        Cause::Unknown | Cause::NoCauseInMessage => Exit::Undecided,
        _ => Exit::NotWell,
    }
}

/// The end that a class of error means when it is all that happened.
pub(crate) fn of_kind(kind: &str) -> Exit {
    match kind {
        "integrity" => Exit::Integrity,
        "login_required"
        | "credentials_rejected"
        | "denied"
        | "write_refused"
        | "refused"
        | "pull_denied"
        | "forbidden"
        | "unauthenticated" => Exit::NotPermitted,
        "manifest_unknown" | "repository_unknown" | "blob_unknown" | "rate_limited" | "server_error"
        | "not_a_registry" | "dns" | "connection_refused" | "connection_reset" | "unreachable"
        | "timeout" | "proxy" | "tls_unknown_ca" | "tls_hostname" | "tls_cert_time" | "tls_http_mismatch"
        | "tls" | "throttled" | "not_found" => Exit::NotReachable,
        _ => Exit::Undecided,
    }
}

#[cfg(test)]
mod tests;
