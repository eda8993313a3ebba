//! Tables as people see them.

use super::*;
use crate::report::{Activation, ConfigProblem, ImageError, LastRun, MirrorTotals, Requests};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn now() -> Timestamp {
    at("2026-03-10T12:00:00Z")
}

fn report() -> MirrorReport {
    let digest = format!("sha256:{}", "70da4c456a4ea571".repeat(4));
    let image = |source: &str, destination: &str, outcome| ImageReport {
        source: source.to_owned(),
        destination: destination.to_owned(),
        digest: Some(digest.clone()),
        outcome,
        verified: Some(Verified::Touched),
        bytes: 12_345,
        reason: "not in the mirror yet".to_owned(),
        error: None,
    };
    let mut failed = image(
        "quay.io/prometheus/prometheus:v3.0.0",
        "127.0.0.1:5050/quay.io/prometheus/prometheus:v3.0.0",
        ImageOutcome::Failed,
    );
    failed.digest = None;
    failed.verified = None;
    failed.error = Some(ImageError {
        kind: "dns".to_owned(),
        path: "tag -> index -> linux/arm64".to_owned(),
        message: "failed to look up the tag at quay.io: failed to lookup address information: \
                  Name or service not known"
            .to_owned(),
        hint: Some("is the name right, and can this machine resolve it?".to_owned()),
    });
    MirrorReport {
        started: at("2026-03-10T11:57:00Z"),
        images: vec![
            image(
                "ociLayout:./hello",
                "127.0.0.1:5050/docker.io/library/hello:1",
                ImageOutcome::Copied,
            ),
            image(
                "europe-docker.pkg.dev/team-a-project/platform-images/billing-service-worker:2026.03.10-1",
                "registry.corp.example:5000/europe-docker.pkg.dev/team-a-project/platform-images/billing-service-worker:2026.03.10-1",
                ImageOutcome::Present,
            ),
            failed,
        ],
        totals: MirrorTotals {
            images: 3,
            copied: 1,
            present: 1,
            failed: 1,
            bytes: 12_345,
            requests: Requests {
                source: 3,
                destination: 0,
            },
        },
    }
}

fn tasks_report() -> TasksReport {
    TasksReport {
        config: ConfigStatus {
            file: "/etc/syncd/config.yaml".to_owned(),
            loaded: at("2026-03-10T09:00:00Z"),
            problem: Some(ConfigProblem {
                since: at("2026-03-10T11:59:30Z"),
                message: "config.yaml:3:1: unknown key `mirorr`\n".to_owned(),
            }),
            needs_restart: vec!["listen".to_owned()],
        },
        tasks: vec![TaskStatus {
            name: "mirror".to_owned(),
            running_since: None,
            next: Some(at("2026-03-11T02:30:00Z")),
            last: Some(LastRun {
                started: at("2026-03-10T11:57:00Z"),
                millis: 1234,
                why: Activation::Start,
                outcome: Outcome::Partly,
                summary: "3 images: 1 copied, 1 already there, 1 failed".to_owned(),
                error_kind: Some("dns".to_owned()),
            }),
        }],
    }
}

pub(super) fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_mirror_report_fits_80_columns() {
    let text = mirror(&report(), false, false);
    fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn a_wide_mirror_report_cuts_nothing() {
    insta::assert_snapshot!(mirror(&report(), true, false));
}

#[test]
fn tasks_fit_80_columns() {
    let text = tasks(&tasks_report(), false, now(), false);
    fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn times() {
    for (other, text) in [
        ("2026-03-10T12:00:00Z", "0s ago"),
        ("2026-03-10T11:57:10Z", "2m ago"),
        ("2026-03-10T17:12:10Z", "in 5h 12m"),
        ("2026-03-01T12:00:00Z", "9d ago"),
    ] {
        assert_eq!(relative(at(other), now()), text);
    }
    assert_eq!(
        (took(40), took(1234), took(59_000), took(660_000)),
        ("0.0s".into(), "1.2s".into(), "59s".into(), "11m".into())
    );
}
