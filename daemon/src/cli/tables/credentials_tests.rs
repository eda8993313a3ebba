//! Credential reports as people see them.

use super::credentials::{Changes, CredentialView, credentials};
use super::tests::{at, fits, now};
use crate::report::{
    CredentialError, CredentialReport, CredentialResult, CredentialTotals, PendingRemoval,
    RegistryCredential, TargetOutcome, TargetReport,
};

fn registry(name: &str, host: &str, result: CredentialResult) -> RegistryCredential {
    RegistryCredential {
        name: name.to_owned(),
        host: host.to_owned(),
        identity: format!("basic: bot, password in /etc/syncd/{name}"),
        result,
        minted: Some(at("2026-03-10T11:57:00Z")),
        expires: Some(at("2026-03-10T23:57:00Z")),
        next_refresh: Some(at("2026-03-10T17:41:00Z")),
        proven: true,
        proof: "pulled team/app:1.0".to_owned(),
        error: None,
    }
}

fn error(kind: &str, message: &str, hint: Option<&str>) -> Option<CredentialError> {
    Some(CredentialError {
        kind: kind.to_owned(),
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
    })
}

fn secret(namespace: &str, outcome: TargetOutcome, reason: &str) -> TargetReport {
    TargetReport {
        namespace: Some(namespace.to_owned()),
        secret: Some("syncd-pull".to_owned()),
        file: None,
        outcome,
        reason: reason.to_owned(),
        kind: None,
        hint: None,
    }
}

fn some_registries() -> Vec<RegistryCredential> {
    let ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    let mut unproven = registry("ghcr.io", "ghcr.io", CredentialResult::Minted);
    unproven.expires = None;
    unproven.proven = false;
    unproven.proof = "no probe is configured".to_owned();
    let mut refused = registry(
        "harbor-team-a",
        "harbor.corp.example:8443",
        CredentialResult::Kept,
    );
    refused.next_refresh = Some(at("2026-03-10T11:59:00Z"));
    refused.error = error(
        "refused",
        "harbor.corp.example:8443 refuses the new password: unauthorized: authentication required; \
         the one of 2026-03-09 stays in use",
        Some("is the password in /etc/syncd/harbor-team-a the current one?"),
    );
    let mut failed = registry("docker.io", "docker.io", CredentialResult::Failed);
    failed.minted = None;
    failed.expires = None;
    failed.next_refresh = None;
    failed.proven = false;
    failed.proof = "there is no token".to_owned();
    failed.error = error(
        "misconfigured",
        "failed to get a token of basic: bot, password in /etc/syncd/hub: No such file or directory",
        None,
    );
    vec![
        registry(ecr, ecr, CredentialResult::Minted),
        unproven,
        refused,
        failed,
    ]
}

fn some_targets() -> Vec<TargetReport> {
    let mut foreign = secret(
        "team-c",
        TargetOutcome::Refused,
        "it is there and not syncd's: nothing was written",
    );
    foreign.kind = Some("foreign".to_owned());
    foreign.hint = Some(
        "kubectl -n team-c annotate secret syncd-pull syncd.dev/owner=1f0c --overwrite lets syncd take it"
            .to_owned(),
    );
    let mut forbidden = secret(
        "team-d",
        TargetOutcome::Failed,
        "failed to create secret team-d/syncd-pull: secrets is forbidden",
    );
    forbidden.kind = Some("forbidden".to_owned());
    let file = TargetReport {
        namespace: None,
        secret: None,
        file: Some("/var/lib/kubelet/config.json".to_owned()),
        ..secret("", TargetOutcome::Updated, "harbor-team-a has a new password")
    };
    vec![
        secret("team-a", TargetOutcome::Created, "it was not there"),
        secret("team-b", TargetOutcome::Unchanged, ""),
        foreign,
        forbidden,
        file,
    ]
}

fn report() -> CredentialReport {
    CredentialReport {
        started: at("2026-03-10T11:57:00Z"),
        registries: some_registries(),
        targets: some_targets(),
        removal: Some(PendingRemoval {
            id: "9f2c41".to_owned(),
            items: (1..=25).map(|i| format!("old-{i}/syncd-pull")).collect(),
            managed: 40,
        }),
        incomplete: vec!["failed to list namespaces: forbidden".to_owned()],
        totals: CredentialTotals {
            targets: 5,
            created: 1,
            updated: 1,
            unchanged: 1,
            removed: 0,
            refused: 1,
            failed: 1,
            mints: 2,
        },
    }
}

fn view(wide: bool, changes: Changes) -> CredentialView {
    CredentialView {
        wide,
        color: false,
        now: now(),
        changes,
    }
}

#[test]
fn credentials_fit_80_columns() {
    let text = credentials(&report(), view(false, Changes::Counted));
    fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn a_dry_run_names_what_would_change() {
    let mut report = report();
    report.registries.truncate(1);
    report.removal = None;
    report.incomplete.clear();
    let text = credentials(&report, view(false, Changes::Planned));
    fits(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn a_wide_report_leaves_nothing_out() {
    let text = credentials(&report(), view(true, Changes::Done));
    assert!(text.contains("old-25/syncd-pull"));
    insta::assert_snapshot!(text);
}

#[test]
fn many_changes_are_cut_and_none_is_said() {
    let mut report = report();
    report.targets = (1..=23)
        .map(|i| secret(&format!("ns-{i}"), TargetOutcome::Created, "it was not there"))
        .collect();
    let text = credentials(&report, view(false, Changes::Done));
    assert!(text.contains("ns-20/") && !text.contains("ns-21/"), "{text}");
    assert!(text.contains("… and 3 more; -o wide shows all"), "{text}");
    assert!(credentials(&report, view(true, Changes::Done)).contains("ns-23/"));

    report.totals = CredentialTotals::default();
    let text = credentials(&report, view(false, Changes::Counted));
    assert!(text.contains("\nno targets were seen\n"), "{text}");
    report.incomplete.clear();
    let text = credentials(&report, view(false, Changes::Counted));
    assert!(
        text.contains("\nno targets: no selected namespace and no file\n"),
        "{text}"
    );
}
