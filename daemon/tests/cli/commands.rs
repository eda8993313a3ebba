//! Commands without a daemon.

use crate::bench::Bench;
use crate::help::golden;

#[test]
fn a_wrong_word_is_usage() {
    let bench = Bench::quickstart();
    for args in [
        &["frobnicate"][..],
        &["run", "--nope"],
        &["sync", "weather"],
        &["get", "mirror", "-o", "xml"],
        &["sync", "mirror", "--exit-code"],
        &["diagnose", "a:1", "--platform", "!"],
        &["diagnose"],
        &["diagnose", "--message", ""],
        &["diagnose", "--message", "a", "--file", "b"],
        &["diagnose", "--file", "/nowhere/at/all"],
        &[],
    ] {
        let done = bench.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!done.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_bad_configuration_is_refused_whole_and_changes_nothing() {
    let bench = Bench::quickstart();
    bench.configure(
        "apiVersion: syncd.dev/v1alpha1\nkind: Config\nlistne: 127.0.0.1:1\nmirror:\n  destination: embedded\n  images: [UPPER]\n",
    );
    let checked = bench.run(&["config", "check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (2, ""));
    golden("config-check-bad", &checked.stderr);
    for args in [
        &["run"][..],
        &["sync"],
        &["get", "tasks"],
        &["diagnose", "a:1"],
        &["config", "show"],
    ] {
        let done = bench.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?}");
        assert_eq!(done.stderr, checked.stderr, "{args:?}");
    }
    assert!(!bench.path("state").exists());
}

#[test]
fn a_missing_configuration_says_how_to_name_one() {
    let bench = Bench::empty();
    let done = bench.run(&["sync"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    golden("config-missing", &done.stderr);
}

#[test]
fn config_check_show_schema_and_example_agree() {
    let bench = Bench::quickstart();
    let checked = bench.run(&["config", "check", "config.yaml"]);
    assert_eq!(
        (checked.code, checked.stdout.as_str()),
        (0, "config.yaml: no problems\n")
    );
    let shown = bench.run(&["config", "show"]);
    assert_eq!(shown.code, 0);
    assert!(!shown.stdout.contains("mirror-demo-password"));
    // What is shown is a configuration again.
    std::fs::write(bench.path("shown.yaml"), &shown.stdout).unwrap();
    assert_eq!(
        bench.run(&["config", "check", "shown.yaml"]).code,
        0,
        "{}",
        shown.stdout
    );
    let schema = bench.run(&["config", "schema"]).json();
    assert!(schema["properties"]["mirror"].is_object());
    let example = bench.run(&["config", "example"]);
    std::fs::write(bench.path("example.yaml"), &example.stdout).unwrap();
    assert_eq!(bench.run(&["config", "check", "example.yaml"]).code, 0);
}

#[test]
fn sync_copies_then_has_nothing_to_do() {
    let bench = Bench::quickstart();
    let pending = bench.run(&["sync", "mirror", "--dry-run", "--exit-code", "-o", "json"]);
    assert_eq!(pending.code, 1, "{pending:?}");
    assert_eq!(pending.json()["images"][0]["outcome"], "skipped");

    // All that libraries say at their loudest goes to standard error, and no secret is in it.
    let first = bench.run(&["sync", "mirror", "-o", "json", "-vv"]);
    assert_eq!(first.code, 0, "{first:?}");
    let report = first.json();
    assert_eq!(report["totals"]["copied"], 2);
    assert!(report["totals"]["bytes"].as_u64().unwrap() > 1000);
    assert!(!first.stderr.contains("mirror-demo-password"));

    let second = bench.run(&["sync", "mirror", "-o", "json"]);
    assert_eq!(second.code, 0);
    let report = second.json();
    assert_eq!(
        (&report["totals"]["present"], &report["totals"]["bytes"]),
        (&2.into(), &0.into())
    );
    let pending = bench.run(&["sync", "mirror", "--dry-run", "--exit-code"]);
    assert_eq!(pending.code, 0, "{pending:?}");
    let full = bench.run(&["sync", "mirror", "--verify", "full", "-o", "json"]);
    assert_eq!(full.json()["images"][1]["verified"], "hashed");

    let table = bench.run(&["sync", "mirror"]);
    golden("sync-table", &bench.masked(&table.stdout));
    assert!(
        table
            .stderr
            .contains("2 images: 2 already there; 0 B sent, 0 requests"),
        "{table:?}"
    );
    let quiet = bench.run(&["sync", "mirror", "-q", "-o", "name"]);
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.stdout.lines().count(), 2);
}

#[test]
fn one_bad_image_is_partly_and_all_bad_says_why() {
    let bench = Bench::quickstart();
    let dead = crate::bench::Bench::empty().registry;
    let good = bench.config();
    let entry = format!("registries:\n  - host: {dead}\n    plainHttp: true\n");
    let text = good
        .replace("registries:\n", &entry)
        .replace("  images:\n", &format!("  images:\n    - {dead}/team/app:1\n"));
    bench.configure(&text);
    let done = bench.run(&["sync", "mirror", "-o", "json"]);
    assert_eq!(done.code, 6, "{done:?}");
    let report = done.json();
    assert_eq!(report["images"][0]["error"]["kind"], "connection_refused");
    assert_eq!(report["totals"]["copied"], 2);

    let only = text
        .lines()
        .filter(|line| !line.contains("ociLayout") && !line.contains("as: "));
    bench.configure(&only.collect::<Vec<_>>().join("\n"));
    let done = bench.run(&["sync", "mirror"]);
    assert_eq!(done.code, 5, "{done:?}");
    let shown = bench.masked(&done.stdout);
    golden(
        "sync-failed",
        &shown.replace(dead.trim_start_matches("127.0.0.1:"), "DDDDD"),
    );
}

#[test]
fn diagnose_of_a_dead_port() {
    let bench = Bench::empty();
    let dead = format!("{}/team/app:1", bench.registry);
    bench.configure(&format!(
        "apiVersion: syncd.dev/v1alpha1\nkind: Config\nregistries: [{{host: \"{}\", plainHttp: true}}]\n",
        bench.registry
    ));
    let done = bench.run(&["diagnose", &dead, "-o", "json"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(done.json()["verdict"]["cause"], "connection_refused");
}

#[test]
fn diagnose_of_a_message_needs_nothing() {
    let bench = Bench::empty();
    let said = "Failed to pull image \"reg.example:5000/team/app:2\": failed to resolve reference \
                \"reg.example:5000/team/app:2\": reg.example:5000/team/app:2: not found";
    let done = bench.run(&["diagnose", "--message", said, "-o", "json"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(done.json()["verdict"]["cause"], "tag_not_found");
    let done = bench.run(&["diagnose", "reg.example:5000/team/app:2", "--message", said]);
    golden("diagnose-message", &done.stdout);

    for noise in ["\u{1b}[31mred\u{1b}[0m \u{7}", "\u{202e}\u{1}\u{2}"] {
        let done = bench.run(&["diagnose", "--message", noise]);
        assert_eq!(done.code, 3, "{done:?}");
        assert!(
            done.stdout.chars().all(|c| c == '\n' || !c.is_control()),
            "{done:?}"
        );
    }
    let file = bench.path("noise");
    std::fs::write(&file, vec![0x9b; 10 << 20]).unwrap();
    let file = file.to_string_lossy().into_owned();
    let done = bench.run(&["diagnose", "-f", &file, "-o", "json"]);
    assert_eq!(
        (done.code, done.json()["verdict"]["cause"].as_str()),
        (3, Some("unknown"))
    );
}

#[test]
fn get_without_a_daemon_says_so() {
    let bench = Bench::quickstart();
    let done = bench.run(&["get", "tasks"]);
    assert_eq!((done.code, done.stdout.as_str()), (5, ""));
    golden("get-no-daemon", &done.stderr);
    let done = bench.run(&["get", "tasks", "--server", &format!("http://{}", bench.status)]);
    assert_eq!(done.code, 5, "{done:?}");
}
