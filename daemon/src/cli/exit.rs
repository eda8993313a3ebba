//! The one table of exit codes, for all verbs.

use std::process::ExitCode;

use crate::report::{Cause, DiagnoseReport, ImageOutcome, MirrorReport};

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
        "login_required" | "credentials_rejected" | "denied" | "write_refused" => Exit::NotPermitted,
        "manifest_unknown" | "repository_unknown" | "blob_unknown" | "rate_limited" | "server_error"
        | "not_a_registry" | "dns" | "connection_refused" | "connection_reset" | "unreachable"
        | "timeout" | "proxy" | "tls_unknown_ca" | "tls_hostname" | "tls_cert_time" | "tls_http_mismatch"
        | "tls" => Exit::NotReachable,
        _ => Exit::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Confidence, ImageError, ImageReport, MirrorTotals, Verdict, Verified};

    /// `c`opied, `p`resent, `s`kipped, or failed with a kind.
    fn report(images: &[&str]) -> MirrorReport {
        let images = images.iter().map(|what| {
            let outcome = match *what {
                "c" => ImageOutcome::Copied,
                "p" => ImageOutcome::Present,
                "s" => ImageOutcome::Skipped,
                _ => ImageOutcome::Failed,
            };
            ImageReport {
                source: String::new(),
                destination: String::new(),
                digest: None,
                outcome,
                verified: Some(Verified::Touched),
                bytes: 0,
                reason: String::new(),
                error: (outcome == ImageOutcome::Failed && *what != "?").then(|| ImageError {
                    kind: (*what).to_owned(),
                    path: String::new(),
                    message: String::new(),
                    hint: None,
                }),
            }
        });
        MirrorReport {
            started: jiff::Timestamp::UNIX_EPOCH,
            images: images.collect(),
            totals: MirrorTotals::default(),
        }
    }

    #[test]
    fn mirror() {
        let cases: &[(&[&str], u8)] = &[
            (&[], 0),
            (&["c", "p"], 0),
            (&["s", "p"], 0),
            (&["denied"], 4),
            (&["dns"], 5),
            (&["io"], 3),
            (&["?"], 3),
            (&["a kind from tomorrow"], 3),
            (&["integrity"], 7),
            (&["io", "dns"], 5),
            (&["io", "dns", "denied"], 4),
            (&["c", "dns"], 6),
            (&["p", "denied"], 6),
            (&["c", "dns", "integrity"], 7),
            (&["denied", "integrity"], 7),
            (&["s", "dns"], 5),
        ];
        for (images, code) in cases {
            assert_eq!(of_mirror(&report(images), false) as u8, *code, "{images:?}");
        }
        assert_eq!(of_mirror(&report(&["s", "p"]), true), Exit::NotWell);
        assert_eq!(of_mirror(&report(&["p"]), true), Exit::Done);
        assert_eq!(of_mirror(&report(&["s", "io"]), true), Exit::Undecided);
    }

    #[test]
    fn the_order_is_2_7_6_4_5_3() {
        use Exit::{Integrity, NotPermitted, NotReachable, NotWell, Partly, Undecided, Usage};
        let order = [
            Usage,
            Integrity,
            Partly,
            NotPermitted,
            NotReachable,
            Undecided,
            NotWell,
            Exit::Done,
        ];
        for (i, bad) in order.iter().enumerate() {
            assert_eq!(worst(&order[i..]), *bad);
            let backwards: Vec<_> = order[i..].iter().rev().copied().collect();
            assert_eq!(worst(&backwards), *bad);
        }
        assert_eq!(worst(&[]), Exit::Done);
    }

    #[test]
    fn diagnosis() {
        let of = |cause| {
            of_diagnosis(&DiagnoseReport {
                image: String::new(),
                pod: None,
                verdict: Verdict {
                    cause,
                    confidence: Confidence::Certain,
                    summary: String::new(),
                    evidence: String::new(),
                },
                alternatives: Vec::new(),
                checks: Vec::new(),
                fixes: Vec::new(),
            })
        };
        assert_eq!(of(Cause::None), Exit::Done);
        assert_eq!(of(Cause::TagNotFound), Exit::NotWell);
        assert_eq!(of(Cause::Unknown), Exit::Undecided);
        assert_eq!(of(Cause::NoCauseInMessage), Exit::Undecided);
    }
}
