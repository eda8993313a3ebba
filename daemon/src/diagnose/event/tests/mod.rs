//! The table, and what must hold for every text.

mod containerd;
mod others;

use proptest::prelude::*;

use super::{best, read};
use crate::report::{Cause, Confidence};

fn rows() -> impl Iterator<Item = &'static (Cause, Option<Cause>, &'static str)> {
    containerd::ROWS.iter().chain(others::ROWS)
}

fn top(text: &str) -> Option<Cause> {
    read(text).ranked.first().map(|ranked| ranked.cause)
}

#[test]
fn the_table() {
    assert!(rows().count() >= 80);
    let mut wrong = Vec::new();
    for (cause, second, text) in rows() {
        let found: Vec<Cause> = read(text).ranked.iter().map(|ranked| ranked.cause).collect();
        let pair = second.is_none_or(|second| found.get(1) == Some(&second));
        if found.first() != Some(cause) || !pair {
            wrong.push(format!("{cause} {second:?}, not {found:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrapper_changes_nothing() {
    for (cause, _, text) in rows().filter(|row| row.0 != Cause::NoCauseInMessage) {
        for before in [
            "Failed to pull image \"HOST/x:1\": rpc error: code = Unknown desc = ",
            "rpc error: code = Unknown desc = Error response from daemon: ",
            "Back-off pulling image \"HOST/x:1\": ErrImagePull: ",
            "Error syncing pod, skipping: failed to \"StartContainer\" for \"x\" with ErrImagePull: ",
        ] {
            // An image of another host than the one that failed would make a mirror of that one.
            let place = read(text).ranked.first().and_then(|ranked| ranked.place.clone());
            let before = before.replace("HOST", &place.unwrap_or_else(|| "docker.io".to_owned()));
            assert_eq!(top(&format!("{before}{text}")), Some(*cause), "{before}{text}");
        }
    }
}

#[test]
fn a_logger_changes_nothing() {
    for (cause, _, text) in rows() {
        let once = format!("{:?}", text);
        assert_eq!(top(&once), Some(*cause), "{once}");
        let twice = format!("err={once:?}");
        assert_eq!(top(&twice), Some(*cause), "{twice}");
        let html = text.replace('\'', "\\u0027").replace('<', "\\u003c");
        assert_eq!(top(&html), Some(*cause), "{html}");
        let wrapped = text.replace(": ", ":\n    ");
        assert_eq!(top(&wrapped), Some(*cause), "{wrapped}");
    }
}

#[test]
fn rights_and_existence_are_never_certain() {
    for (cause, _, text) in rows() {
        let doubtful = matches!(
            cause,
            Cause::AuthMissing | Cause::AuthWrongCredentials | Cause::PermissionDenied
        );
        for ranked in read(text).ranked {
            assert!(!doubtful || ranked.confidence < Confidence::Certain, "{text}");
        }
    }
}

#[test]
fn the_host_is_the_one_that_failed() {
    let place = |text: &str| read(text).ranked.first().and_then(|ranked| ranked.place.clone());
    let mirror = r#"failed to resolve reference "docker.io/library/a:1": failed to do request: Head "https://cache.example:8443/v2/library/a/manifests/1?ns=docker.io": dial tcp 192.0.2.1:8443: i/o timeout"#;
    assert_eq!(place(mirror).as_deref(), Some("cache.example:8443"));
    let blob = r#"failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://user:word@blobs.example/x?sig=1": EOF"#;
    assert_eq!(place(blob).as_deref(), Some("blobs.example"));
    assert_eq!(
        place("pinging container registry reg.example:5000: EOF").as_deref(),
        Some("reg.example:5000")
    );
    assert_eq!(place("pull QPS exceeded"), None);
}

#[test]
fn what_takes_away_is_marked_and_nothing_switches_a_check_off() {
    for (_, _, text) in rows() {
        let report = super::answer(Some("reg.example/a:1"), text);
        for fix in &report.fixes {
            let all = format!("{} {}", fix.text, fix.command.as_deref().unwrap_or_default()).to_lowercase();
            let takes = ["crictl rmi", "delete", "prune", "drain", "take the image out"]
                .iter()
                .any(|word| all.contains(word));
            assert!(!takes || fix.destructive, "{all}");
            for word in [
                "insecure",
                "skip_verify",
                "skip-verify",
                "--force",
                "insecureacceptanything",
            ] {
                assert!(!all.contains(word), "{all}");
            }
        }
        assert!(!report.fixes.is_empty(), "{text}");
    }
}

#[test]
fn evidence_holds_no_secret() {
    let text = "Get \"https://bob:hunter2@reg.example/v2/?token=hunter3\": unauthorized: eyJhunter4.x.y authentication required \u{1b}[31m";
    let echo = "unexpected status from GET request to https://reg.example/token: 401 Unauthorized\nunauthorized: Basic Ym9iOmh1bnRlcjJodW50ZXI= refused";
    for ranked in read(text).ranked.into_iter().chain(read(echo).ranked) {
        assert!(!ranked.evidence.contains("hunter"), "{}", ranked.evidence);
        assert!(!ranked.evidence.contains("Ym9i"), "{}", ranked.evidence);
        assert!(!ranked.evidence.contains('\u{1b}'), "{}", ranked.evidence);
    }
    let plain = "initializing source docker://reg.example/a:1: Requesting bearer token: invalid status code from registry 403 (Forbidden)";
    let shown = read(plain).ranked.remove(0).evidence;
    assert!(!shown.contains("****"), "{shown}");
}

#[test]
fn of_a_page_the_telling_line_decides() {
    let page = "Name: app\nStatus: Pending\nEvents:\n  Normal  Scheduled  1m  Successfully assigned a/app to n1\n  \
        Warning  Failed  30s  kubelet  Failed to pull image \"reg.example/a:1\": Head \"https://reg.example/v2/a/manifests/1\": x509: certificate has expired or is not yet valid\n  \
        Warning  Failed  30s  kubelet  Error: ErrImagePull\n  Normal  BackOff  5s  kubelet  Back-off pulling image \"reg.example/a:1\"\n";
    assert_eq!(
        best(page).ranked.first().map(|r| r.cause),
        Some(Cause::TlsCertTime)
    );
    let json = "{\"items\": [\n {\"reason\": \"BackOff\",\n  \"message\": \"Back-off pulling image \\\"reg.example/a:1\\\"\"},\n \
        {\"reason\": \"Failed\",\n  \"message\": \"Failed to pull image \\\"reg.example/a:1\\\": pull QPS exceeded\"}]}";
    assert_eq!(
        best(json).ranked.first().map(|r| r.cause),
        Some(Cause::PullQpsExceeded)
    );
}

#[test]
fn a_message_that_is_broken_into_lines_stays_whole() {
    for (cause, _, text) in rows() {
        let broken = text.replace(": ", ":\n");
        let found = best(&broken).ranked.first().map(|ranked| ranked.cause);
        assert_eq!(found, Some(*cause), "{broken}");
    }
}

#[test]
fn noise_says_nothing() {
    for text in [
        "",
        " ",
        "\u{1b}[2J",
        "lorem ipsum dolor",
        "\\",
        "\\u",
        "\\u12",
        "[: [",
    ] {
        assert!(read(text).ranked.is_empty(), "{text:?}");
    }
    let mut long = "noise ".repeat(2_000_000);
    assert!(read(&long).ranked.is_empty());
    long.push_str(": x509: certificate has expired or is not yet valid");
    assert_eq!(top(&long), Some(Cause::TlsCertTime));
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>(), n in 0..200_usize, cut in 0..400_usize) {
        let row = rows().nth(n % rows().count()).map_or("", |row| row.2);
        let part: String = row.chars().skip(cut % 97).take(cut).collect();
        let both = format!("{part}{text}{row}");
        for reading in [read(&text), best(&text), read(&part), read(&both)] {
            for ranked in reading.ranked {
                prop_assert_eq!(&syncd_config::text::clean(&ranked.evidence), &ranked.evidence);
                prop_assert!(ranked.evidence.chars().count() <= 161);
            }
        }
    }
}
