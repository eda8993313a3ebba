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

pub(crate) fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
