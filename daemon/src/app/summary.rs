//! A mirror pass in one line.

use crate::report::{ImageOutcome, MirrorReport};

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
        (u64::try_from(skipped.count()).unwrap_or(u64::MAX), "to be copied"),
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
    use crate::report::{ImageReport, MirrorTotals, Requests};

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
