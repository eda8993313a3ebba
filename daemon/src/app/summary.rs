//! A pass in one line.

use crate::report::{CredentialReport, CredentialResult, CredentialTotals, ImageOutcome, MirrorReport};

/// `3 images: 1 copied, 1 already there, 1 failed; 12.3 kB sent, 3 requests`.
#[must_use]
pub fn mirror_summary(report: &MirrorReport) -> String {
    let totals = &report.totals;
    let skipped = report
        .images
        .iter()
        .filter(|image| image.outcome == ImageOutcome::Skipped);
    let mut parts = Vec::new();
    for (count, what) in [
        (totals.copied, "copied"),
        (totals.present, "already there"),
        (number(skipped.count()), "to be copied"),
        (totals.failed, "failed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    let images = if totals.images == 1 { "image" } else { "images" };
    let requests = totals.requests.source + totals.requests.destination;
    format!(
        "{} {images}: {}; {} sent, {requests} {}",
        totals.images,
        parts.join(", "),
        size(totals.bytes),
        if requests == 1 { "request" } else { "requests" },
    )
}

/// `2 registries: 1 minted, 1 kept; 4 targets: 1 created, 3 unchanged`.
#[must_use]
pub fn credential_summary(report: &CredentialReport) -> String {
    let of = |result| {
        let found = report.registries.iter().filter(|one| one.result == result);
        number(found.count())
    };
    let registries = counted(
        number(report.registries.len()),
        ["registry", "registries"],
        &[
            (of(CredentialResult::Minted), "minted"),
            (of(CredentialResult::Kept), "kept"),
            (of(CredentialResult::Failed), "failed"),
        ],
    );
    let CredentialTotals {
        targets,
        created,
        updated,
        unchanged,
        removed,
        refused,
        failed,
        mints: _,
    } = report.totals;
    let targets = counted(
        targets,
        ["target", "targets"],
        &[
            (created, "created"),
            (updated, "updated"),
            (unchanged, "unchanged"),
            (removed, "removed"),
            (refused, "refused"),
            (failed, "failed"),
        ],
    );
    let mut text = format!("{registries}; {targets}");
    if let Some(removal) = &report.removal {
        text.push_str(&format!("; {} wait to be removed", removal.items.len()));
    }
    if !report.incomplete.is_empty() {
        text.push_str("; not everything could be seen");
    }
    text
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `4 targets: 1 created, 3 unchanged`.
pub(crate) fn counted(all: u64, [one, many]: [&str; 2], parts: &[(u64, &str)]) -> String {
    let noun = if all == 1 { one } else { many };
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        return format!("{all} {noun}");
    }
    format!("{all} {noun}: {}", parts.join(", "))
}

/// Bytes for people, in powers of 1000.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut left = bytes;
    let mut rest = 0;
    for unit in ["B", "kB", "MB", "GB", "TB", "PB"] {
        if left < 1000 {
            return match unit {
                "B" => format!("{left} B"),
                _ => format!("{left}.{} {unit}", rest / 100),
            };
        }
        rest = left % 1000;
        left /= 1000;
    }
    format!("{left}.{} EB", rest / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ImageReport, MirrorTotals, PendingRemoval, RegistryCredential, Requests};

    #[test]
    fn one_line() {
        let skipped = ImageReport {
            source: String::new(),
            destination: String::new(),
            digest: None,
            outcome: ImageOutcome::Skipped,
            verified: None,
            bytes: 0,
            reason: String::new(),
            error: None,
        };
        let mut report = MirrorReport {
            started: jiff::Timestamp::UNIX_EPOCH,
            images: vec![skipped],
            totals: MirrorTotals {
                images: 4,
                copied: 1,
                present: 1,
                failed: 1,
                bytes: 12_345,
                requests: Requests {
                    source: 3,
                    destination: 1,
                },
            },
        };
        assert_eq!(
            mirror_summary(&report),
            "4 images: 1 copied, 1 already there, 1 to be copied, 1 failed; 12.3 kB sent, 4 requests"
        );
        report.images.clear();
        report.totals = MirrorTotals::default();
        assert_eq!(
            mirror_summary(&report),
            "0 images: nothing to do; 0 B sent, 0 requests"
        );
    }

    #[test]
    fn one_line_of_credentials() {
        let registry = RegistryCredential {
            name: String::new(),
            host: String::new(),
            identity: String::new(),
            result: CredentialResult::Kept,
            minted: None,
            expires: None,
            next_refresh: None,
            proven: true,
            proof: String::new(),
            error: None,
        };
        let mut report = CredentialReport {
            started: jiff::Timestamp::UNIX_EPOCH,
            registries: vec![registry.clone(), registry],
            targets: Vec::new(),
            removal: None,
            incomplete: Vec::new(),
            totals: CredentialTotals {
                targets: 4,
                created: 1,
                unchanged: 3,
                ..CredentialTotals::default()
            },
        };
        report.registries[0].result = CredentialResult::Minted;
        assert_eq!(
            credential_summary(&report),
            "2 registries: 1 minted, 1 kept; 4 targets: 1 created, 3 unchanged"
        );
        report.registries.pop();
        report.totals = CredentialTotals::default();
        report.incomplete.push(String::new());
        report.removal = Some(PendingRemoval {
            id: String::new(),
            items: vec![String::new(); 5],
            managed: 9,
        });
        assert_eq!(
            credential_summary(&report),
            "1 registry: 1 minted; 0 targets; 5 wait to be removed; not everything could be seen"
        );
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345, "12.3 kB"),
            (1_999_999_999, "1.9 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
