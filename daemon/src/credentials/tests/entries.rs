//! Which credential is published, in every combination that matters.

use std::time::Duration;

use syncd_config::Secret;
use syncd_providers::token::{Expiry, Token};

use super::*;
use crate::credentials::entries::{Candidate, Had, decide};
use crate::credentials::prove::Proof;
use crate::report::CredentialResult::{self, Failed, Kept, Minted};

const NOW: &str = "10:00:00";
const MINIMUM: Duration = Duration::from_secs(30 * 60);

fn proven() -> Option<Proof> {
    Some(Proof::Proven {
        image: "a.example/team/app:1.0".to_owned(),
    })
}

fn refused() -> Option<Proof> {
    Some(Proof::Refused {
        words: "unauthorized".to_owned(),
    })
}

fn denied() -> Option<Proof> {
    Some(Proof::PullDenied {
        words: "denied".to_owned(),
    })
}

fn undecided() -> Option<Proof> {
    Some(Proof::Undecided {
        why: "connection refused".to_owned(),
    })
}

fn token(secret: &str, minted: &str, expires: Option<&str>, proof: Option<Proof>) -> Had {
    with_old(secret, minted, expires, proof, false)
}

fn with_old(
    secret: &str,
    minted: &str,
    expires: Option<&str>,
    proof: Option<Proof>,
    old_refused: bool,
) -> Had {
    let token = Token {
        username: "bot".to_owned(),
        secret: Secret::new(secret),
        expires: expires.map_or(Expiry::Unknown, |ends| Expiry::Known(at(ends))),
        minted_at: at(minted),
    };
    Had::Token {
        token,
        proof,
        old_refused,
    }
}

struct Case {
    name: &'static str,
    probe: bool,
    good: Option<Good>,
    had: Had,
    /// What is published, whether it counts as proven, what is reported, and the class of the error.
    expected: (Option<&'static str>, bool, CredentialResult, Option<&'static str>),
}

fn case(
    name: &'static str,
    good: Option<Good>,
    had: Had,
    expected: (Option<&'static str>, bool, CredentialResult, Option<&'static str>),
) -> Case {
    Case {
        name,
        probe: true,
        good,
        had,
        expected,
    }
}

fn no_probe(case: Case) -> Case {
    Case { probe: false, ..case }
}

/// One that has hours to live, one that is below its useful minimum, one of unknown end.
fn far() -> Option<Good> {
    Some(good("a", "old", Some("18:00:00"), true))
}

fn near() -> Option<Good> {
    Some(good("a", "old", Some("10:30:00"), true))
}

fn unknown() -> Option<Good> {
    Some(good("a", "old", None, true))
}

fn new(proof: Option<Proof>) -> Had {
    token("new", "09:59:00", Some("21:00:00"), proof)
}

fn check(cases: Vec<Case>) {
    for case in cases {
        let entry = entry("a", case.probe);
        let trouble = matches!(case.had, Had::Nothing).then(|| ("unreachable", "no answer".to_owned()));
        let candidate = Candidate {
            entry: &entry,
            identity: "basic: bot".to_owned(),
            good: case.good,
            had: case.had,
            trouble,
            next_refresh: None,
            useful_minimum: MINIMUM,
        };
        let decision = decide(candidate, at(NOW));
        let report = decision.report;
        let published = decision.good.as_ref().map(|good| good.secret.expose());
        let error = report.error.as_ref().map(|error| error.kind.as_str());
        let found = (published, report.proven, report.result, error);
        assert_eq!(found, case.expected, "{}", case.name);
        assert_eq!(
            report.minted,
            decision.good.as_ref().map(|good| good.minted),
            "{}",
            case.name
        );
        assert!(
            !report.proof.is_empty(),
            "{}: no words about the proof",
            case.name
        );
    }
}

#[test]
fn a_proven_token_replaces_any_other() {
    let minted = (Some("new"), true, Minted, None);
    check(vec![
        case("first", None, new(proven()), minted),
        case("far", far(), new(proven()), minted),
        case("near", near(), new(proven()), minted),
        case("unknown", unknown(), new(proven()), minted),
    ]);
}

#[test]
fn a_refused_token_replaces_nothing() {
    let (refusal, denial) = (Some("refused"), Some("pull_denied"));
    check(vec![
        case("first", None, new(refused()), (None, false, Failed, refusal)),
        case("first denied", None, new(denied()), (None, false, Failed, denial)),
        case("far", far(), new(refused()), (Some("old"), true, Kept, refusal)),
        case("near", near(), new(refused()), (Some("old"), true, Kept, refusal)),
        case(
            "near denied",
            near(),
            new(denied()),
            (Some("old"), true, Kept, denial),
        ),
        case(
            "unknown",
            unknown(),
            new(refused()),
            (Some("old"), true, Kept, refusal),
        ),
        case(
            "ended",
            Some(good("a", "old", Some("09:00:00"), true)),
            new(denied()),
            (Some("old"), true, Kept, denial),
        ),
    ]);
}

#[test]
fn an_undecided_token_waits_while_the_old_one_lives() {
    let kept = (Some("old"), true, Kept, Some("undecided"));
    let unproven = (Some("new"), false, Minted, Some("undecided"));
    let without_probe = (Some("new"), false, Minted, None);
    let one_second_more = Some(good("a", "old", Some("10:30:01"), true));
    let refused_old = |expires| with_old("new", "09:59:00", expires, undecided(), true);
    check(vec![
        case("first", None, new(undecided()), unproven),
        case("far", far(), new(undecided()), kept),
        case("just above the minimum", one_second_more, new(undecided()), kept),
        case("at the minimum", near(), new(undecided()), unproven),
        case(
            "far, but refused by now",
            far(),
            refused_old(Some("21:00:00")),
            unproven,
        ),
        case("a changed password", unknown(), new(undecided()), kept),
        case(
            "a changed password, and the old one refused",
            unknown(),
            refused_old(None),
            unproven,
        ),
        no_probe(case("first, no probe", None, new(undecided()), without_probe)),
        no_probe(case("far, no probe", far(), new(undecided()), kept)),
        no_probe(case("near, no probe", near(), new(undecided()), without_probe)),
        no_probe(case(
            "a changed password, no probe",
            unknown(),
            new(undecided()),
            without_probe,
        )),
    ]);
}

#[test]
fn the_same_credential_stays() {
    let again = |proof| token("old", "09:59:00", None, proof);
    let unproven = || Some(good("a", "old", None, false));
    check(vec![
        case(
            "proven before",
            unknown(),
            again(None),
            (Some("old"), true, Kept, None),
        ),
        case(
            "proven now",
            unproven(),
            again(proven()),
            (Some("old"), true, Kept, None),
        ),
        case(
            "still undecided",
            unproven(),
            again(undecided()),
            (Some("old"), false, Kept, None),
        ),
        case(
            "refused now",
            unproven(),
            again(refused()),
            (Some("old"), false, Kept, Some("refused")),
        ),
    ]);
}

#[test]
fn without_a_token_the_old_one_stays() {
    check(vec![
        case(
            "none yet",
            None,
            Had::Nothing,
            (None, false, Failed, Some("unreachable")),
        ),
        case(
            "far",
            far(),
            Had::Nothing,
            (Some("old"), true, Kept, Some("unreachable")),
        ),
        case(
            "ended",
            Some(good("a", "old", Some("09:00:00"), true)),
            Had::Nothing,
            (Some("old"), true, Kept, Some("unreachable")),
        ),
        case("held", None, Had::Held, (None, false, Kept, None)),
        case(
            "held, with one of before",
            far(),
            Had::Held,
            (Some("old"), true, Kept, None),
        ),
    ]);
}

#[test]
fn an_older_or_ended_token_replaces_nothing() {
    let older = |proof| token("new", "07:59:00", Some("21:00:00"), proof);
    let ended = |proof| token("new", "09:00:00", Some("10:00:00"), proof);
    let wrong_clock = Good {
        minted: at("23:00:00"),
        ..good("a", "old", Some("23:30:00"), true)
    };
    check(vec![
        case("older", far(), older(proven()), (Some("old"), true, Kept, None)),
        case(
            "older, but the clock was wrong then",
            Some(wrong_clock),
            older(proven()),
            (Some("new"), true, Minted, None),
        ),
        case(
            "ended",
            far(),
            ended(proven()),
            (Some("old"), true, Kept, Some("clock_skew")),
        ),
        case(
            "ended, and there is none",
            None,
            ended(proven()),
            (None, false, Failed, Some("clock_skew")),
        ),
        case(
            "an end before its beginning is none",
            far(),
            token("new", "09:00:00", Some("08:30:00"), proven()),
            (Some("new"), true, Minted, None),
        ),
    ]);
}

#[test]
fn a_failing_issuer_is_said_beside_a_token_that_lives() {
    let entry = entry("a", true);
    let candidate = Candidate {
        entry: &entry,
        identity: "basic: bot".to_owned(),
        good: far(),
        had: token("old", "08:00:00", Some("18:00:00"), None),
        trouble: Some(("throttled", "too many requests".to_owned())),
        next_refresh: Some(at("10:01:00")),
        useful_minimum: MINIMUM,
    };
    let report = decide(candidate, at(NOW)).report;
    assert_eq!(report.result, Kept);
    assert_eq!(report.error.unwrap().kind, "throttled");
    assert_eq!(report.next_refresh, Some(at("10:01:00")));
}

#[test]
fn words_name_the_image_and_never_the_secret() {
    let entry = entry("a", true);
    let candidate = Candidate {
        entry: &entry,
        identity: "basic: bot".to_owned(),
        good: far(),
        had: new(denied()),
        trouble: None,
        next_refresh: None,
        useful_minimum: MINIMUM,
    };
    let report = decide(candidate, at(NOW)).report;
    let text = format!("{report:?}");
    let error = report.error.unwrap();
    assert_eq!(
        error.message,
        "the login works, but pulling a.example/team/app:1.0 is denied: denied"
    );
    assert_eq!(
        error.hint.as_deref(),
        Some("let this identity pull a.example/team/app:1.0: basic: bot")
    );
    assert_eq!(report.proof, "pulled a.example/team/app:1.0");
    assert!(!text.contains("new\"") && !text.contains("\"old"), "{text}");
}
