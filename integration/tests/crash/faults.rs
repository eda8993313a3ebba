//! System calls that fail: the disk is full, or does not take what it was given.

use crate::check::damage;
use crate::kill::completes;
use crate::strace::traced;

/// Lets the first, second, … call fail until the writer no longer notices.
fn fail_at_every(calls: &str, error: &str, kind: &str, lenient: bool) {
    let (mut failures, mut unnoticed) = (0, 0);
    for when in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().to_str().unwrap();
        let fail = format!("inject={calls}:error={error}:when={when}");
        let ended = traced(&["-e", &format!("trace={calls}"), "-e", &fail], &["all", store]);
        let at = format!("{error} at {calls} number {when}");
        assert!(!ended.killed(), "{at}: {ended:?}");
        if !ended.trace.contains("(INJECTED)") {
            break;
        }
        assert_eq!(damage(dir.path(), &ended.said), Vec::<String>::new(), "{at}");
        match ended.code {
            Some(1) => {
                assert!(ended.said.contains(&format!("failed {kind} ")), "{at}: {ended:?}");
                failures += 1;
            }
            // The writer's own lines: it does not look whether they were written.
            Some(0) if lenient => unnoticed += 1,
            _ => panic!("{at}: {ended:?}"),
        }
        completes(dir.path(), &at);
    }
    assert!(
        failures >= 10,
        "only {failures} failures, {unnoticed} went unnoticed"
    );
}

#[test]
fn a_failing_sync_of_a_file_fails_its_step_only() {
    fail_at_every("fdatasync", "EIO", "io", false);
}

#[test]
fn a_failing_sync_of_a_folder_fails_its_step_only() {
    fail_at_every("fsync", "EIO", "io", false);
}

#[test]
fn a_full_disk_at_a_write_is_said_so() {
    fail_at_every("write", "ENOSPC", "disk_full", true);
}

#[test]
fn a_full_disk_at_a_link_is_said_so() {
    fail_at_every("?link,?linkat", "ENOSPC", "disk_full", false);
}

#[test]
fn a_full_disk_at_a_rename_is_said_so() {
    fail_at_every("?rename,?renameat,?renameat2", "ENOSPC", "disk_full", false);
}

#[test]
fn a_file_system_without_hard_links_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fail = "inject=?link,?linkat:error=EPERM:when=1";
    let ended = traced(
        &["-e", "trace=?link,?linkat", "-e", fail],
        &["all", dir.path().to_str().unwrap()],
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.said.contains("failed unsupported ") && ended.said.contains("no hard links"),
        "{ended:?}"
    );
}

/// The kernel says once that data was lost and calls it clean from then on, so that a second sync
/// would succeed on nothing. A file is written anew; after a folder, the store refuses to go on.
#[test]
fn a_failed_sync_is_not_tried_again() {
    for (call, degraded) in [("fdatasync", false), ("fsync", true)] {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().to_str().unwrap();
        let trace = format!("trace={call},openat");
        let fail = format!("inject={call}:error=EIO:when=4");
        let ended = traced(&["-y", "-e", &trace, "-e", &fail], &["twice", store]);
        assert!(
            ended.said.contains(&format!("degraded {degraded}\n")),
            "{call}: {ended:?}"
        );
        assert_eq!(ended.said.contains("done\n"), !degraded, "{call}: {ended:?}");
        let failed = ended.trace.lines().find(|l| l.contains("(INJECTED)")).unwrap();
        let path = failed.split(['<', '>']).nth(1).unwrap();
        let syncs = ended
            .trace
            .lines()
            .filter(|l| l.contains(&format!("{call}(")) && l.contains(&format!("<{path}>)")));
        if !degraded {
            assert_eq!(syncs.count(), 1, "{path} was synced again:\n{}", ended.trace);
        }
        assert_eq!(damage(dir.path(), &ended.said), Vec::<String>::new(), "{call}");
        completes(dir.path(), call);
    }
}
