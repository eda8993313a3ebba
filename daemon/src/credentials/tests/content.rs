//! The content of targets.

use super::*;
use crate::credentials::content::marks_of;

#[test]
fn content_is_the_same_text_with_its_marks_beside_it() {
    let entries = [entry("b", true), entry("a", true)];
    let good = all_good(&[
        good("a", "one", Some("18:00:00"), true),
        good("b", "two", None, false),
    ]);
    let target = target(&["*"], &["a", "b"]);
    let published = published(&target, &entries, &good, &[], US);
    let content = content(&published);
    assert_eq!(
        content.docker_config.expose(),
        concat!(
            r#"{"auths":{"a.example":{"auth":"Ym90Om9uZQ==","password":"one","username":"bot"},"#,
            r#""b.example":{"auth":"Ym90OnR3bw==","password":"two","username":"bot"}}}"#
        )
    );
    assert_eq!(
        content.annotations[REGISTRIES],
        concat!(
            r#"{"a.example":{"expires":"2026-05-01T18:00:00Z","proven":"2026-05-01T08:00:01Z","minted":"2026-05-01T08:00:00Z"},"#,
            r#""b.example":{"expires":null,"proven":null,"minted":"2026-05-01T08:00:00Z"}}"#
        )
    );
    assert_eq!(content.annotations[CONTENT_HASH], content.hash);
    assert_eq!(content.annotations[OWNER], US);
    assert_eq!(
        content.annotations["argocd.argoproj.io/sync-options"],
        "Prune=false"
    );
    assert_eq!(marks_of(&holding("x", content)).len(), 2);
    let all: String = content.annotations.values().cloned().collect();
    assert!(!all.contains("\"one\"") && !all.contains("two"), "{all}");
}

#[test]
fn only_what_the_target_names_is_in_it() {
    let entries = [entry("a", true), entry("b", true)];
    let good = all_good(&[good("a", "one", None, true), good("b", "two", None, true)]);
    let published = published(&target(&["*"], &["b"]), &entries, &good, &[], US);
    let text = content(&published).docker_config.expose();
    assert!(
        text.contains("b.example") && !text.contains("a.example"),
        "{text}"
    );
}

#[test]
fn a_credential_goes_to_no_other_host_than_its_own() {
    let moved = RegistryEntry {
        host: "elsewhere.example".parse().unwrap(),
        ..entry("a", true)
    };
    let good = all_good(&[good("a", "one", None, true)]);
    let target = target(&["*"], &["a"]);
    assert!(published(&target, &[moved], &good, &[], US) == Published::Nothing);
}

#[test]
fn what_only_waits_is_told_apart() {
    let entries = [entry("a", true), entry("b", true)];
    let target = target(&["*"], &["a", "b"]);
    let hold = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let none = LastGood::new();
    assert!(published(&target, &entries, &none, &hold(&["a", "b"]), US) == Published::Held);
    assert!(published(&target, &entries, &none, &hold(&["a"]), US) == Published::Nothing);
    let one = all_good(&[good("b", "two", None, true)]);
    let part = published(&target, &entries, &one, &hold(&["a"]), US);
    assert_eq!(content(&part).missing, ["a.example"]);
}

#[test]
fn more_than_a_secret_holds_is_refused_with_sizes() {
    let secret = "x".repeat(250 << 10);
    let names = ["a", "b", "c"];
    let entries = names.map(|name| entry(name, true));
    let target = target(&["*"], &names);
    let good = |count: usize| {
        let some = names.iter().take(count);
        all_good(
            &some
                .map(|name| good(name, &secret, None, true))
                .collect::<Vec<_>>(),
        )
    };
    // Each is there twice: in `password` and in `auth`.
    assert!(matches!(
        published(&target, &entries, &good(1), &[], US),
        Published::Ready(_)
    ));
    let Published::TooLarge(words) = published(&target, &entries, &good(2), &[], US) else {
        panic!("too large");
    };
    assert_eq!(
        words,
        "2 registries make 1166 KiB, and a secret holds 900 KiB; the largest: b.example 256000 bytes, a.example 256000 bytes"
    );
}
