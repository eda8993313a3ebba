//! Credentials: the daemon's second task and the commands about it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::bench::{Bench, Daemon};
use crate::help::golden;

const PASSWORD: &str = "mirror-demo-password";
const FILE: &str = "state/docker/config.json";

/// A daemon whose first proven credential is written.
fn started(bench: &Bench) -> Daemon {
    let mut daemon = bench.daemon(&["-vv"]);
    daemon.expect("1 registry: 1 minted");
    daemon
}

/// `user:password` as clients of the docker config read it.
fn written(bench: &Bench) -> String {
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(bench.path(FILE)).unwrap()).unwrap();
    let auth = file["auths"][&bench.registry]["auth"].as_str().unwrap();
    String::from_utf8(STANDARD.decode(auth).unwrap()).unwrap()
}

/// Gives the client another password; the registry knows it when `known`.
fn change_password(bench: &Bench, daemon: &Daemon, password: &str, known: bool) {
    if known {
        let hash = bcrypt::hash(password, 4).unwrap();
        std::fs::write(bench.path("quickstart.htpasswd"), format!("demo:{hash}\n")).unwrap();
    }
    std::fs::write(bench.path("quickstart.password"), password).unwrap();
    daemon.signal(Signal::HUP);
}

/// Ports masked, and the one time that goes on while the test runs.
fn shown(bench: &Bench, text: &str) -> String {
    let lines = bench.masked(text);
    let lines = lines.lines().map(|line| match line.starts_with("last pass: ") {
        true => "last pass: …",
        false => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_password_is_proven_by_our_own_registry_and_then_written() {
    let bench = Bench::quickstart();
    let daemon = started(&bench);
    assert_eq!(written(&bench), format!("demo:{PASSWORD}"));
    let mode = std::fs::metadata(bench.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let table = bench.run(&["get", "credentials"]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(
        table.stdout.lines().all(|line| line.chars().count() <= 80),
        "{table:?}"
    );
    golden("get-credentials", &shown(&bench, &table.stdout));
    let report = bench.run(&["get", "credentials", "-o", "json"]).json();
    assert_eq!(report["registries"][0]["proven"], true);
    assert_eq!(
        report["registries"][0]["proof"],
        format!("pulled {}/hello:1", bench.registry)
    );
    let names = bench.run(&["get", "credentials", "-o", "name"]).stdout;
    assert_eq!(names, format!("{}\n", bench.registry));
    let metrics = bench.get("/metrics");
    for line in [
        "credential_proven{registry=",
        "credential_targets{outcome=\"created\"} 1\n",
    ] {
        assert!(metrics.contains(&format!("syncd_{line}")), "{metrics}");
    }

    // By hand: nothing to do, and then a token that was not due.
    let again = bench.run(&["sync", "credentials", "-o", "json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["totals"]["unchanged"], 1);
    let pending = bench.run(&["sync", "credentials", "--dry-run", "--exit-code"]);
    assert_eq!(pending.code, 0, "{pending:?}");
    let renewed = bench
        .run(&["sync", "credentials", "--renew", "-o", "json"])
        .json();
    assert_eq!(renewed["totals"]["mints"], 1, "{renewed}");
    let both = bench.run(&["sync"]);
    assert_eq!(both.code, 0, "{both:?}");
    let order = both.stdout.find("DESTINATION").zip(both.stdout.find("RESULT"));
    assert!(
        order.is_some_and(|(mirror, credentials)| mirror < credentials),
        "{both:?}"
    );
    assert_eq!(bench.run(&["sync", "-o", "json"]).code, 2);

    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    for text in log.iter().chain([&table.stdout, &again.stderr, &both.stderr]) {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_wrong_password_changes_nothing_and_a_rotated_one_everything() {
    let bench = Bench::quickstart();
    let mut daemon = started(&bench);
    let before = std::fs::read(bench.path(FILE)).unwrap();
    change_password(&bench, &daemon, "wrong-new-password", false);
    daemon.expect("1 registry: 1 kept");
    assert_eq!(std::fs::read(bench.path(FILE)).unwrap(), before);
    let by_hand = bench.run(&["sync", "credentials"]);
    assert_eq!(by_hand.code, 1, "{by_hand:?}");
    golden("sync-credentials-kept", &shown(&bench, &by_hand.stdout));
    let tasks = bench.run(&["get", "tasks", "-o", "json"]).json();
    assert_eq!(tasks["tasks"][1]["name"], "credentials");
    assert_eq!(tasks["tasks"][1]["last"]["error_kind"], "refused");
    assert!(
        bench.get("/readyz").ends_with("ready\n"),
        "this is no reason to be out of service"
    );

    change_password(&bench, &daemon, "rotated-password", true);
    daemon.expect("1 registry: 1 minted");
    assert_eq!(written(&bench), "demo:rotated-password");
    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    for word in ["wrong-new-password", "rotated-password"] {
        assert!(log.iter().all(|line| !line.contains(word)), "{log:#?}");
    }
}

#[test]
fn a_pass_that_hangs_does_not_hold_up_the_end_and_leaves_nothing_behind() {
    let bench = Bench::quickstart();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap();
    bench.configure(&format!(
        "apiVersion: syncd.dev/v1alpha1\nkind: Config\nstateDir: state\nlisten: {}\n\
         registries:\n  - host: {host}\n    plainHttp: true\n    \
         basic: {{username: demo, passwordFile: quickstart.password}}\n    probe: hello:1\n\
         credentials:\n  targets:\n    - file: {{path: state/docker/config.json}}\n      \
         registries: [\"{host}\"]\n",
        bench.status
    ));
    let daemon = bench.daemon(&[]);
    let (_asked, _) = silent.accept().unwrap();
    assert!(bench.get("/readyz").ends_with("ready\n"));
    let none_yet = bench.run(&["get", "credentials"]);
    assert_eq!((none_yet.code, none_yet.stdout.as_str()), (3, ""));
    let asked_to_end = Instant::now();
    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(asked_to_end.elapsed() < Duration::from_secs(10));
    assert!(!bench.path("state/docker").exists());
    let left = std::fs::read_dir(bench.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_restart_without_the_registry_keeps_what_is_there() {
    let bench = Bench::quickstart();
    let (ended, log) = started(&bench).terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    let before = std::fs::read(bench.path(FILE)).unwrap();
    // Without a daemon nobody serves: nothing is proven, and what was proven stays.
    let alone = bench.run(&["sync", "credentials", "-o", "json"]);
    assert_eq!(alone.code, 0, "{alone:?}");
    assert_eq!(alone.json()["registries"][0]["result"], "kept");
    assert_eq!(std::fs::read(bench.path(FILE)).unwrap(), before);
}

#[test]
fn without_a_daemon_a_command_says_what_it_could_not_prove() {
    let bench = Bench::quickstart();
    let planned = bench.run(&["sync", "credentials", "--dry-run", "--exit-code"]);
    assert_eq!(planned.code, 1, "{planned:?}");
    assert!(!bench.path(FILE).exists(), "a dry run writes nothing");
    let done = bench.run(&["sync", "credentials"]);
    assert_eq!(done.code, 1, "{done:?}");
    golden("sync-credentials-unproven", &shown(&bench, &done.stdout));
    assert_eq!(written(&bench), format!("demo:{PASSWORD}"));
    let unknown = bench.run(&["sync", "mirror", "--renew"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
}
