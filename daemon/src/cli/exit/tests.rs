//! Every end of a command has its code.

use super::*;
use crate::report::{
    Confidence, CredentialError, CredentialTotals, ImageError, ImageReport, MirrorTotals, PendingRemoval,
    TargetReport, Verdict, Verified,
};

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

/// `m`inted, `k`ept, kept with a reason (`k:…`), or failed with a kind.
fn credential(what: &str) -> RegistryCredential {
    let (result, kind) = match what {
        "m" => (CredentialResult::Minted, None),
        "k" => (CredentialResult::Kept, None),
        "?" => (CredentialResult::Failed, None),
        _ => match what.strip_prefix("k:") {
            Some(kind) => (CredentialResult::Kept, Some(kind)),
            None => (CredentialResult::Failed, Some(what)),
        },
    };
    RegistryCredential {
        name: String::new(),
        host: String::new(),
        identity: String::new(),
        result,
        minted: None,
        expires: None,
        next_refresh: None,
        proven: false,
        proof: String::new(),
        error: kind.map(|kind| CredentialError {
            kind: kind.to_owned(),
            message: String::new(),
            hint: None,
        }),
    }
}

/// `c`reated, `u`nchanged, `r`efused, or failed with a kind.
fn target(what: &str) -> TargetReport {
    let outcome = match what {
        "c" => TargetOutcome::Created,
        "u" => TargetOutcome::Unchanged,
        "r" => TargetOutcome::Refused,
        _ => TargetOutcome::Failed,
    };
    TargetReport {
        namespace: None,
        secret: None,
        file: None,
        outcome,
        reason: String::new(),
        kind: (outcome == TargetOutcome::Failed && what != "?").then(|| what.to_owned()),
        hint: None,
    }
}

fn credentials(registries: &[&str], targets: &[&str]) -> CredentialReport {
    CredentialReport {
        started: jiff::Timestamp::UNIX_EPOCH,
        registries: registries.iter().map(|what| credential(what)).collect(),
        targets: targets.iter().map(|what| target(what)).collect(),
        removal: None,
        incomplete: Vec::new(),
        totals: CredentialTotals::default(),
    }
}

#[test]
fn credential_passes() {
    let cases: &[(&[&str], &[&str], u8)] = &[
        (&[], &[], 0),
        (&["m", "k"], &["c", "u"], 0),
        // The one before stays: no failure, and not well.
        (&["k:refused"], &["u"], 1),
        (&["k:unreachable", "m"], &["c"], 1),
        (&["m"], &["r"], 1),
        (&["m"], &["c", "r"], 1),
        (&["denied"], &["u"], 4),
        (&["refused"], &[], 4),
        (&["pull_denied"], &[], 4),
        (&["unreachable"], &[], 5),
        (&["throttled"], &[], 5),
        (&["misconfigured"], &[], 3),
        (&["undecided"], &[], 3),
        (&["?"], &[], 3),
        (&["unreachable", "denied"], &[], 4),
        (&["m", "denied"], &["c"], 6),
        (&["k", "unreachable"], &["u"], 6),
        (&["m"], &["forbidden"], 4),
        (&["m"], &["unreachable"], 5),
        (&["m"], &["?"], 3),
        (&["m"], &["c", "forbidden"], 6),
        (&["m"], &["u", "unreachable"], 6),
        // What was refused did not work.
        (&["m"], &["r", "forbidden"], 4),
    ];
    for (registries, targets, code) in cases {
        let report = credentials(registries, targets);
        assert_eq!(
            of_credentials(&report, false) as u8,
            *code,
            "{registries:?} {targets:?}"
        );
    }
    assert_eq!(of_credentials(&credentials(&["m"], &["c"]), true), Exit::NotWell);
    assert_eq!(of_credentials(&credentials(&["m"], &["u"]), true), Exit::Done);
}

#[test]
fn what_could_not_be_seen_and_what_waits_count() {
    let mut report = credentials(&["m"], &[]);
    report.incomplete.push("failed to list namespaces".to_owned());
    assert_eq!(of_credentials(&report, false), Exit::Undecided);
    report.targets.push(target("c"));
    assert_eq!(of_credentials(&report, false), Exit::Partly);
    let mut report = credentials(&["k"], &["u"]);
    report.removal = Some(PendingRemoval {
        id: "1".to_owned(),
        items: Vec::new(),
        managed: 9,
    });
    assert_eq!(of_credentials(&report, false), Exit::NotWell);
}

#[test]
fn several_things_in_one_command() {
    use Exit::{Done, Integrity, NotPermitted, NotReachable, NotWell, Partly, Undecided};
    for (ends, expected) in [
        (vec![Done, Done], Done),
        (vec![Done, NotWell], NotWell),
        (vec![Done, NotReachable], Partly),
        (vec![Undecided, NotWell], Partly),
        (vec![NotPermitted, NotReachable], NotPermitted),
        (vec![Integrity, NotPermitted], Integrity),
        (vec![Partly, Done], Partly),
    ] {
        assert_eq!(of_all(&ends), expected, "{ends:?}");
    }
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
