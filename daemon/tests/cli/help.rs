//! The help of every verb is golden: change it freely, but on purpose.

use crate::bench::Bench;

#[test]
fn help_is_golden_and_fits_80_columns() {
    let bench = Bench::empty();
    let verbs: &[&[&str]] = &[
        &[],
        &["run"],
        &["sync"],
        &["diagnose"],
        &["explain"],
        &["get"],
        &["config"],
        &["config", "check"],
        &["config", "show"],
        &["config", "schema"],
        &["config", "example"],
        &["version"],
    ];
    for verb in verbs {
        let mut args = verb.to_vec();
        args.push("--help");
        let done = bench.run(&args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{verb:?}");
        for line in done.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let name = format!(
            "help-{}",
            if verb.is_empty() {
                "syncd".to_owned()
            } else {
                verb.join("-")
            }
        );
        golden(&name, &done.stdout);
    }
}

#[test]
fn every_cause_is_explained_within_80_columns() {
    let bench = Bench::empty();
    let list = bench.run(&["explain"]);
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    golden("explain", &list.stdout);
    golden(
        "explain-tag-not-found",
        &bench.run(&["explain", "tag_not_found"]).stdout,
    );
    let mut causes = 0;
    for name in list.stdout.lines().filter(|line| !line.starts_with(' ')) {
        let name = name.split(' ').next().unwrap();
        let done = bench.run(&["explain", name]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{name}");
        assert!(done.stdout.starts_with(&format!("{name}: ")), "{}", done.stdout);
        assert!(done.stdout.contains("\nWhat to do:\n  1. "), "{}", done.stdout);
        for line in done.stdout.lines().chain(list.stdout.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        causes += 1;
    }
    assert!(causes > 30, "{}", list.stdout);
}

#[test]
fn a_misspelt_cause_is_a_usage_error_with_the_closest_name() {
    let done = Bench::empty().run(&["explain", "tag_notfound"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    assert!(
        done.stderr.contains("did you mean `tag_not_found`?"),
        "{}",
        done.stderr
    );
    let done = Bench::empty().run(&["explain", "weather"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("lists them all"), "{}", done.stderr);
}

pub(crate) fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
