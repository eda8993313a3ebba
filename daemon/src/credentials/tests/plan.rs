//! What is done to a secret, in every state that it may be in.

use crate::credentials::memory::Memory;
use crate::credentials::plan::{Action, Judgement, Rules, Seen, Selected, judge, steps};
use crate::report::TargetOutcome::{self, Created, Failed, Refused, Unchanged, Updated};

use super::*;

const NOW: &str = "10:00:00";

fn there(meta: SecretMeta) -> Seen {
    Seen::There(Box::new(meta))
}

fn absent() -> Seen {
    Seen::Absent { namespace: true }
}

fn judged(seen: &Seen, published: &Published, memory: &Memory) -> Judgement {
    let rules = Rules {
        owner: US,
        memory,
        now: at(NOW),
    };
    judge(&key("team-a"), seen, published, &rules)
}

/// The verb of an action.
fn verb(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "nothing",
        Action::Keep(_) => "keep",
        Action::Create => "create",
        Action::Update(_) => "update",
        Action::Remove(_) => "remove",
    }
}

fn before() -> Published {
    ready(good("a", "old", None, true))
}

fn now() -> Published {
    ready(Good {
        minted: at("09:59:00"),
        ..good("a", "new", None, true)
    })
}

#[test]
fn what_is_done_depends_on_whose_the_secret_is_and_what_it_holds() {
    let (old, new) = (before(), now());
    let (old, new) = (content(&old), content(&new));
    let mine = || holding("team-a", old);
    let theirs = |managers: &[&str]| SecretMeta {
        other_managers: managers.iter().map(|name| (*name).to_owned()).collect(),
        ..holding("team-a", new)
    };
    let wrong_type = |owner| SecretMeta {
        is_docker_config: false,
        ..owned_by(mine(), owner)
    };
    let leaving = SecretMeta {
        terminating: true,
        ..owned_by(mine(), None)
    };
    let unlabelled = SecretMeta {
        labels: BTreeMap::new(),
        ..holding("team-a", new)
    };
    let unread = Seen::Unread {
        kind: "forbidden",
        words: "no".to_owned(),
    };
    let cases: Vec<(&str, Seen, &str, TargetOutcome, Option<&str>)> = vec![
        ("none", absent(), "create", Created, None),
        (
            "no namespace",
            Seen::Absent { namespace: false },
            "nothing",
            Unchanged,
            None,
        ),
        ("leaving namespace", Seen::Terminating, "nothing", Unchanged, None),
        ("leaving secret", there(leaving), "nothing", Unchanged, None),
        ("unread", unread, "nothing", Failed, Some("forbidden")),
        (
            "ours, equal",
            there(holding("team-a", new)),
            "keep",
            Unchanged,
            None,
        ),
        ("ours, older", there(mine()), "update", Updated, None),
        (
            "ours, hash taken off",
            there(annotated(mine(), CONTENT_HASH, None)),
            "update",
            Updated,
            None,
        ),
        (
            "ours, hash forged",
            there(hashed(mine(), "sha256:0")),
            "update",
            Updated,
            None,
        ),
        (
            "ours, marks no JSON",
            there(marked(mine(), "}{")),
            "update",
            Updated,
            None,
        ),
        (
            "ours, label taken off",
            there(unlabelled),
            "update",
            Updated,
            None,
        ),
        (
            "ours, annotation for Argo taken off",
            there(annotated(
                holding("team-a", new),
                "argocd.argoproj.io/sync-options",
                None,
            )),
            "update",
            Updated,
            None,
        ),
        (
            "ours, edited by another",
            there(theirs(&["kubectl-edit"])),
            "update",
            Updated,
            None,
        ),
        (
            "foreign",
            there(owned_by(mine(), None)),
            "nothing",
            Refused,
            Some("foreign"),
        ),
        (
            "foreign, equal",
            there(owned_by(holding("team-a", new), None)),
            "nothing",
            Refused,
            Some("foreign"),
        ),
        (
            "another syncd's",
            there(owned_by(mine(), Some("syncd-b"))),
            "nothing",
            Refused,
            Some("foreign"),
        ),
        (
            "ours, wrong type",
            there(wrong_type(Some(US))),
            "nothing",
            Refused,
            Some("wrong_type"),
        ),
        (
            "foreign, wrong type",
            there(wrong_type(None)),
            "nothing",
            Refused,
            Some("wrong_type"),
        ),
    ];
    for (name, seen, action, outcome, kind) in cases {
        let judgement = judged(&seen, &now(), &Memory::default());
        let found = (
            verb(&judgement.action),
            judgement.outcome,
            judgement.kind.as_deref(),
        );
        assert_eq!(found, (action, outcome, kind), "{name}: {}", judgement.reason);
        assert_eq!(judgement.hint.is_some(), outcome == Refused, "{name}");
    }
}

#[test]
fn an_update_names_the_version_it_was_planned_from() {
    let published = before();
    let meta = holding("team-a", content(&published));
    let judgement = judged(&there(meta.clone()), &now(), &Memory::default());
    assert_eq!(judgement.action, Action::Update(Box::new(meta)));
    assert_eq!(judgement.reason, "a new credential for a.example");
}

#[test]
fn what_is_refused_says_the_way_out() {
    let published = before();
    let mine = holding("team-a", content(&published));
    let hint = |meta| judged(&there(meta), &now(), &Memory::default()).hint.unwrap();
    assert_eq!(
        hint(owned_by(mine.clone(), None)),
        "choose another `secret`, or hand it over (its content is replaced): \
         kubectl annotate secret pull -n team-a syncd.dev/owner=syncd"
    );
    let other = judged(
        &there(owned_by(mine.clone(), Some("b\u{1b}[2J"))),
        &now(),
        &Memory::default(),
    );
    assert!(other.hint.unwrap().ends_with("syncd.dev/owner=syncd --overwrite"));
    assert_eq!(other.reason, "it belongs to another syncd: b\\u{1b}[2J");
    let wrong = SecretMeta {
        is_docker_config: false,
        ..mine
    };
    assert!(hint(wrong).contains("kubectl delete secret pull -n team-a"));
}

#[test]
fn with_nothing_to_publish_nothing_is_written() {
    let published = before();
    let mine = there(holding("team-a", content(&published)));
    let large = Published::TooLarge("2 registries make 1000 KiB".to_owned());
    let cases = [
        (&absent(), &Published::Nothing, Failed, Some("no_credential")),
        (&mine, &Published::Nothing, Unchanged, None),
        (&absent(), &Published::Held, Unchanged, None),
        (&mine, &Published::Held, Unchanged, None),
        (&absent(), &large, Refused, Some("too_large")),
        (&mine, &large, Refused, Some("too_large")),
    ];
    for (seen, published, outcome, kind) in cases {
        let judgement = judged(seen, published, &Memory::default());
        assert_eq!(judgement.action, Action::Nothing);
        assert_eq!((judgement.outcome, judgement.kind.as_deref()), (outcome, kind));
    }
}

#[test]
fn a_credential_that_is_lost_here_is_not_taken_from_a_secret() {
    let entries = [entry("a", true), entry("b", true)];
    let both = all_good(&[
        good("a", "one", None, true),
        good("b", "two", Some("12:00:00"), true),
    ]);
    let target = target(&["*"], &["a", "b"]);
    let whole = published(&target, &entries, &both, &[], US);
    let meta = |marks: Option<&str>| {
        let meta = holding("team-a", content(&whole));
        there(marks.map_or(meta.clone(), |marks| marked(meta, marks)))
    };
    let mark = |host: &str, expires: &str| {
        format!(r#""{host}.example":{{"expires":{expires},"proven":null,"minted":"2026-05-01T08:00:00Z"}}"#)
    };
    let (a_lives, b_lives) = (mark("a", "null"), mark("b", "\"2026-05-01T12:00:00Z\""));
    let (a_ended, b_ended) = (
        mark("a", "\"2026-05-01T09:00:00Z\""),
        mark("b", "\"2026-05-01T10:00:00Z\""),
    );
    // `b` has none here any more, `a` has a new one.
    let left = all_good(&[Good {
        minted: at("09:59:00"),
        ..good("a", "new", None, true)
    }]);
    let part = published(&target, &entries, &left, &[], US);
    assert_eq!(content(&part).missing, ["b.example"]);
    let cases = [
        ("b lives", meta(None), "nothing", Unchanged),
        (
            "b ended",
            meta(Some(&format!("{{{a_lives},{b_ended}}}"))),
            "update",
            Updated,
        ),
        (
            "b lives, a ended",
            meta(Some(&format!("{{{a_ended},{b_lives}}}"))),
            "update",
            Updated,
        ),
        (
            "b was never there",
            meta(Some(&format!("{{{a_lives}}}"))),
            "update",
            Updated,
        ),
        ("nothing is there", absent(), "create", Created),
    ];
    for (name, seen, action, outcome) in cases {
        let judgement = judged(&seen, &part, &Memory::default());
        let found = (verb(&judgement.action), judgement.outcome);
        assert_eq!(found, (action, outcome), "{name}: {}", judgement.reason);
        assert!(
            judgement.reason.contains("b.example"),
            "{name}: {}",
            judgement.reason
        );
    }
}

#[test]
fn an_object_that_was_seen_to_hold_it_is_not_written_again() {
    let published = now();
    let shared = SecretMeta {
        other_managers: vec!["velero".to_owned()],
        ..holding("team-a", content(&published))
    };
    let hash = content(&published).hash.clone();
    let mut memory = Memory::default();
    assert_eq!(
        verb(&judged(&there(shared.clone()), &published, &memory).action),
        "update"
    );
    memory.seen(&key("team-a"), &shared, &hash);
    assert_eq!(
        verb(&judged(&there(shared.clone()), &published, &memory).action),
        "keep"
    );
    let changed = SecretMeta {
        resource_version: "8".to_owned(),
        ..shared.clone()
    };
    assert_eq!(
        verb(&judged(&there(changed), &published, &memory).action),
        "update"
    );
    let made_again = SecretMeta {
        uid: "another".to_owned(),
        ..shared
    };
    assert_eq!(
        verb(&judged(&there(made_again), &published, &memory).action),
        "update"
    );
}

#[test]
fn three_restores_in_ten_minutes_are_enough() {
    let published = now();
    let meta = holding("team-a", content(&published));
    let hash = content(&published).hash.clone();
    let edited = SecretMeta {
        other_managers: vec!["helm".to_owned()],
        resource_version: "8".to_owned(),
        ..hashed(meta.clone(), "sha256:0")
    };
    let place = key("team-a");
    let mut memory = Memory::default();
    memory.written(&place, &meta, &hash, at("09:50:00"));
    for restored in ["09:50:00", "09:55:00"] {
        memory.written(&place, &meta, &hash, at(restored));
        assert_eq!(
            verb(&judged(&there(edited.clone()), &published, &memory).action),
            "update"
        );
        assert_eq!(verb(&judged(&absent(), &published, &memory).action), "create");
    }
    memory.written(&place, &meta, &hash, at("09:59:00"));
    // The one of 09:50:00 is ten minutes old.
    assert_eq!(verb(&judged(&absent(), &published, &memory).action), "create");
    memory.written(&place, &meta, &hash, at("09:59:30"));
    let contested = judged(&there(edited.clone()), &published, &memory);
    assert_eq!(contested.kind.as_deref(), Some("contested"));
    assert_eq!(
        contested.reason,
        "helm changes it again and again: left alone for ten minutes"
    );
    assert_eq!(
        judged(&absent(), &published, &memory).kind.as_deref(),
        Some("contested")
    );
    // New content is written whatever was: the old one may have ended.
    let rotated = ready(good("a", "newer", None, true));
    assert_eq!(
        verb(&judged(&there(edited.clone()), &rotated, &memory).action),
        "update"
    );
    memory.forget_namespace("team-a");
    assert_eq!(verb(&judged(&absent(), &published, &memory).action), "create");
}

#[test]
fn rotation_is_no_contest() {
    let mut memory = Memory::default();
    for (secret, minute) in ["one", "two", "three", "four", "five"].iter().zip(50..) {
        let published = ready(good("a", secret, None, true));
        let meta = holding("team-a", content(&published));
        let time = at(&format!("09:{minute}:00"));
        memory.written(&key("team-a"), &meta, &content(&published).hash, time);
    }
    let next = ready(good("a", "five", None, true));
    assert_eq!(verb(&judged(&absent(), &next, &memory).action), "create");
}

#[test]
fn the_second_target_for_a_secret_is_refused() {
    let targets = [
        target(&["team-a", "team-b"], &["a"]),
        target(&["team-b", "team-c"], &["a"]),
    ];
    let selected = |names: &[&str]| {
        let selected = names.iter().map(|name| Selected {
            name: (*name).to_owned(),
            terminating: *name == "team-c",
        });
        selected.collect::<Vec<_>>()
    };
    let selected = BTreeMap::from([
        (0, selected(&["team-a", "team-b"])),
        (1, selected(&["team-b", "team-c"])),
    ]);
    let memory = Memory::default();
    let rules = Rules {
        owner: US,
        memory: &memory,
        now: at(NOW),
    };
    let steps = steps(&targets, &selected, &BTreeMap::new(), &[now(), now()], &rules);
    let found: Vec<_> = steps
        .iter()
        .map(|step| {
            let kind = step.judgement.kind.as_deref();
            (
                step.key.to_string(),
                step.target,
                verb(&step.judgement.action),
                kind,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("team-a/pull".to_owned(), Some(0), "create", None),
            ("team-b/pull".to_owned(), Some(0), "create", None),
            ("team-b/pull".to_owned(), Some(1), "nothing", Some("duplicate")),
            ("team-c/pull".to_owned(), Some(1), "nothing", None),
        ]
    );
}

#[test]
fn of_a_target_whose_namespaces_are_not_known_nothing_is_done() {
    let targets = [target(&["team-*"], &["a"])];
    let memory = Memory::default();
    let rules = Rules {
        owner: US,
        memory: &memory,
        now: at(NOW),
    };
    assert!(steps(&targets, &BTreeMap::new(), &BTreeMap::new(), &[now()], &rules).is_empty());
}
