//! The daemon, and commands beside it.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::bench::{Bench, Daemon};
use crate::help::golden;

const FIRST_PASS: &str = "The first mirror pass has ended";

fn started(bench: &Bench) -> Daemon {
    let mut daemon = bench.daemon(&[]);
    daemon.expect(FIRST_PASS);
    daemon
}

/// The report without what differs between two runs.
fn timeless(mut report: Value) -> Value {
    report["started"] = Value::Null;
    report
}

#[test]
fn it_mirrors_serves_and_ends_in_order() {
    let bench = Bench::quickstart();
    let mut daemon = bench.daemon(&["-vv"]);
    let line: Value = serde_json::from_str(&daemon.expect(FIRST_PASS)).unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("2 images: 2 copied"), "{message}");
    let program = env!("CARGO_BIN_EXE_syncd");
    assert!(
        message.contains(&format!("{program} diagnose {}/hello:1\n", bench.registry)),
        "{message}"
    );

    let image = format!("{}/hello:1", bench.registry);
    let good = bench.run(&["diagnose", &image, "-vv"]);
    assert_eq!(good.code, 0, "{good:?}");
    for (image, cause) in [
        (format!("{image}-misspelt"), "tag_not_found"),
        (format!("{}/helol:1", bench.registry), "repo_not_found"),
    ] {
        let bad = bench.run(&["diagnose", &image, "-o", "json"]);
        assert_eq!((bad.code, &bad.json()["verdict"]["cause"]), (1, &cause.into()));
    }

    let mirror = bench.run(&["get", "mirror", "-o", "json"]);
    let over_tcp = bench.run(&[
        "get",
        "mirror",
        "-o",
        "json",
        "--server",
        &format!("http://{}", bench.status),
    ]);
    assert_eq!((mirror.code, over_tcp.code), (0, 0), "{over_tcp:?}");
    assert_eq!(mirror.json(), over_tcp.json());
    assert_eq!(
        bench.run(&["get", "tasks", "-o", "name"]).stdout,
        "mirror\ncredentials\n"
    );
    assert!(bench.get("/readyz?verbose").ends_with("ready\n"));
    assert!(
        bench
            .get("/metrics")
            .contains("syncd_mirror_images{outcome=\"copied\"} 2\n")
    );

    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(!bench.path("state/syncd.sock").exists());
    for line in &log {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        assert!(!line.contains("mirror-demo-password"), "{line}");
    }
    assert!(!good.stderr.contains("mirror-demo-password"));
    // Nothing half-written: the next pass finds all of it whole, read to the last byte.
    let full = bench.run(&["sync", "mirror", "--verify", "full", "-o", "json"]);
    assert_eq!((full.code, &full.json()["totals"]["present"]), (0, &2.into()));
}

#[test]
fn a_command_beside_it_gives_the_same_report_and_code() {
    let bench = Bench::quickstart();
    let broken = bench.config().replace(
        "  images:\n",
        "  images:\n    - {source: \"ociLayout:./none\", as: \"none:1\"}\n",
    );
    bench.configure(&broken);
    assert_eq!(bench.run(&["sync", "mirror"]).code, 6);
    let alone = bench.run(&["sync", "mirror", "-o", "json"]);
    let daemon = started(&bench);
    for args in [
        &["sync", "mirror", "-o", "json"][..],
        &["sync", "mirror", "-o", "json", "--dry-run"],
    ] {
        let beside = bench.run(args);
        assert!(
            beside.stderr.contains("A daemon is running: it does the pass."),
            "{beside:?}"
        );
        assert_eq!(beside.code, alone.code, "{args:?}");
        assert_eq!(timeless(beside.json()), timeless(alone.json()), "{args:?}");
    }
    let tasks = bench.run(&["get", "tasks", "-o", "json"]).json();
    assert_eq!(tasks["tasks"][0]["last"]["why"], "hand");
    assert_eq!(tasks["tasks"][0]["last"]["outcome"], "partly");
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

#[test]
fn a_second_one_waits_then_names_the_holder() {
    let bench = Bench::quickstart();
    let first = started(&bench);
    let pid = first.pid();
    let second = bench.run(&["run", "--lock-wait", "1"]);
    assert_eq!(second.code, 3, "{second:?}");
    let last: Vec<_> = second.stderr.lines().rev().take(2).collect();
    assert!(
        last[1].starts_with("error: failed to lock the store"),
        "{second:?}"
    );
    assert!(last[1].contains(&pid.to_string()), "{second:?}");

    // One that waits takes over when the holder goes.
    let mut third = bench.daemon(&["--lock-wait", "60"]);
    third.expect("Waiting for the store");
    assert_eq!(first.terminate().0.code(), Some(0));
    third.expect(FIRST_PASS);
    assert!(bench.get("/readyz").ends_with("ready\n"));
    assert_eq!(third.terminate().0.code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let bench = Bench::quickstart();
    let _taken = TcpListener::bind(&bench.registry).unwrap();
    let done = bench.run(&["run"]);
    assert_eq!(done.code, 3);
    let tail: Vec<_> = done
        .stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    golden("run-port-taken", &bench.masked(&tail.join("\n")));
}

#[test]
fn a_changed_configuration_is_taken_over_and_a_bad_one_never() {
    let bench = Bench::quickstart();
    let good = bench.config();
    let mut daemon = started(&bench);
    bench.configure(&good.replace("mirror:", "mirorr:"));
    daemon.signal(Signal::HUP);
    daemon.expect("the changed configuration is not in use");
    let tasks = bench.run(&["get", "tasks", "-o", "json"]).json();
    assert!(
        tasks["config"]["problem"]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean `mirror`?")
    );
    assert!(
        bench
            .get("/metrics")
            .contains("syncd_config_last_reload_successful 0\n")
    );
    let text = bench.run(&["get", "tasks"]).stdout;
    assert!(text.contains("not in use: the file changed"), "{text}");
    assert_eq!(
        bench.run(&["get", "mirror", "-o", "name"]).stdout.lines().count(),
        2
    );

    bench.configure(&good);
    daemon.signal(Signal::HUP);
    daemon.expect("the configuration file is in order again");

    let more = good
        .replace(
            "  images:\n",
            "  images:\n    - {source: \"ociLayout:./hello\", as: \"third:1\"}\n",
        )
        .replace(&format!("listen: {}", bench.status), "listen: 127.0.0.1:1");
    bench.configure(&more);
    daemon.signal(Signal::HUP);
    daemon.expect("but for keys that need a restart");
    daemon.expect("3 images: ");
    let mirror = bench
        .run(&[
            "get",
            "mirror",
            "-o",
            "json",
            "--server",
            &format!("http://{}", bench.status),
        ])
        .json();
    assert_eq!(mirror["totals"]["images"], 3);
    assert_eq!(mirror["totals"]["copied"], 1);
    let tasks = bench.run(&["get", "tasks", "-o", "json"]).json();
    assert_eq!(tasks["config"]["needs_restart"], serde_json::json!(["listen"]));
    assert_eq!(tasks["tasks"][0]["last"]["why"], "change");
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

#[test]
fn a_pass_that_hangs_does_not_hold_up_the_end() {
    let bench = Bench::quickstart();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap();
    let entry = format!("registries:\n  - host: {host}\n    plainHttp: true\n");
    let text = bench
        .config()
        .replace("registries:\n", &entry)
        .replace("  images:\n", &format!("  images:\n    - {host}/team/app:1\n"));
    bench.configure(&text);
    let mut daemon = bench.daemon(&[]);
    daemon.expect("serves (process");
    let (_asked, _) = silent.accept().unwrap();
    let asked_to_end = Instant::now();
    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(asked_to_end.elapsed() < Duration::from_secs(10));
    assert!(!bench.path("state/syncd.sock").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = Bench::quickstart();
    let mut daemon = started(&bench);
    // An answer under way for which the daemon would wait: the client never ends its head.
    let mut slow = std::net::TcpStream::connect(&bench.status).unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n").unwrap();
    assert!(
        bench.get("/livez").ends_with("ok\n"),
        "the slow one was accepted before"
    );
    daemon.signal(Signal::TERM);
    daemon.expect("Stopping.");
    let again = Instant::now();
    let (ended, log) = daemon.terminate();
    assert_eq!(ended.code(), Some(0), "{log:#?}");
    assert!(
        again.elapsed() < Duration::from_millis(1500),
        "{:?}",
        again.elapsed()
    );
}
