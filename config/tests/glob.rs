//! Patterns over names: a table, and a matcher that tries everything as the oracle.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use proptest::prelude::*;
use syncd_config::Glob;
use syncd_config::glob::GlobError;

/// By definition: `*` is nothing, or one character and `*` again.
fn tries_everything(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), first) => {
            tries_everything(rest, name) || first.is_some_and(|(_, after)| tries_everything(pattern, after))
        }
        (Some((p, rest)), Some((n, after))) => (*p == b'?' || p == n) && tries_everything(rest, after),
        _ => false,
    }
}

#[test]
fn fits_the_whole_name() {
    for (pattern, name, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a", "", false),
        ("*", "", true),
        ("*", "team-a", true),
        ("team-*", "team-", true),
        ("team-*", "team-a", true),
        ("team-*", "my-team-a", false),
        ("*-team", "a-team", true),
        ("*-team", "a-team-b", false),
        ("t?am", "team", true),
        ("t?am", "tam", false),
        ("?", "", false),
        ("??", "ab", true),
        ("*a*b", "aab", true),
        ("*a*b", "ba", false),
        ("a*b*c", "abbcbc", true),
        ("a**c", "ac", true),
        ("*?", "", false),
        ("?*", "a", true),
    ] {
        assert_eq!(
            pattern.parse::<Glob>().unwrap().matches(name),
            fits,
            "{pattern} {name}"
        );
        assert_eq!(
            tries_everything(pattern.as_bytes(), name.as_bytes()),
            fits,
            "{pattern} {name}"
        );
    }
}

#[test]
fn takes_what_can_be_in_a_name() {
    for (text, error) in [
        ("", GlobError::Empty),
        ("Team", GlobError::Character),
        ("a_b", GlobError::Character),
        ("a.b", GlobError::Character),
        ("[ab]", GlobError::Character),
        ("é", GlobError::Character),
        ("a b", GlobError::Character),
    ] {
        assert_eq!(text.parse::<Glob>(), Err(error), "{text}");
    }
    assert!("*".repeat(253).parse::<Glob>().is_ok());
    assert_eq!("*".repeat(254).parse::<Glob>(), Err(GlobError::Length));
    for (text, literal) in [("team-a", true), ("team-?", false), ("*", false)] {
        assert_eq!(text.parse::<Glob>().unwrap().is_literal(), literal, "{text}");
    }
}

/// A pattern made to take long: every `*` could end anywhere. An exponential matcher would need
/// more steps than there are atoms.
#[test]
fn a_hostile_pattern_is_no_slower() {
    let pattern = format!("{}b", "a*".repeat(126)).parse::<Glob>().unwrap();
    assert!(!pattern.matches(&"a".repeat(253)));
    assert!(pattern.matches(&format!("{}b", "a".repeat(252))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn agrees_with_the_matcher_that_tries_everything(pattern in "[ab*?]{1,9}", name in "[ab]{0,12}") {
        let glob = pattern.parse::<Glob>().unwrap();
        prop_assert_eq!(
            glob.matches(&name),
            tries_everything(pattern.as_bytes(), name.as_bytes())
        );
    }
}
