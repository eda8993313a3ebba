//! How a rule of the table is written and searched.

use crate::report::{Cause, Confidence};

/// A rule: each group of `all` must have a fragment in the text, and none of `none` may be there.
///
/// A fragment is in lower case. `fragment$` must end the text; `~word` must stand alone;
/// `#429` is that HTTP status, and `#5` any status from 500 on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) all: &'static [&'static [&'static str]],
    pub(super) none: &'static [&'static str],
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    /// Other causes of the same words, the likelier first.
    pub(super) also: &'static [Cause],
}

/// A rule with a single group.
pub(super) const fn any(
    words: &'static [&'static [&'static str]],
    cause: Cause,
    confidence: Confidence,
    also: &'static [Cause],
) -> Rule {
    Rule {
        all: words,
        none: &[],
        cause,
        confidence,
        also,
    }
}

impl Rule {
    /// Where the deciding words are, when the rule holds.
    pub(super) fn find(&self, lower: &str) -> Option<(usize, usize)> {
        if self.none.iter().any(|words| find(lower, words).is_some()) {
            return None;
        }
        let mut first = None;
        for group in self.all {
            let at = group.iter().find_map(|words| find(lower, words))?;
            first = first.or(Some(at));
        }
        first
    }
}

/// The last place of a fragment: chains of errors end in the cause.
pub(super) fn find(lower: &str, fragment: &str) -> Option<(usize, usize)> {
    if let Some(code) = fragment.strip_prefix('#') {
        return status(lower, code);
    }
    if let Some(word) = fragment.strip_prefix('~') {
        return whole(lower, word);
    }
    if let Some(words) = fragment.strip_suffix('$') {
        let end = lower.trim_end_matches([' ', '"', '\'', '.', ')', ']', '}', '\\', ',']);
        return end
            .ends_with(words)
            .then(|| (end.len() - words.len(), words.len()));
    }
    lower.rfind(fragment).map(|at| (at, fragment.len()))
}

/// A word that stands alone: names of images hold such words too.
fn whole(lower: &str, word: &str) -> Option<(usize, usize)> {
    let bytes = lower.as_bytes();
    let joins =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'_' | b'.' | b':' | b'@' | b'"');
    lower
        .match_indices(word)
        .map(|(at, _)| at)
        .find(|at| {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + word.len());
            !before.is_some_and(joins) && !after.is_some_and(|b| joins(b) && !matches!(b, b':' | b'.'))
        })
        .map(|at| (at, word.len()))
}

/// Words that stand before or after a number that is an HTTP status.
const BEFORE: [&str; 8] = [
    "registry ",
    "status",
    "code",
    "http ",
    "]: ",
    "error ",
    "response",
    "returned",
];
const AFTER: [&str; 11] = [
    " bad request",
    " method not allowed",
    " unauthorized",
    " forbidden",
    " not found",
    " too many",
    " internal server",
    " bad gateway",
    " service unavailable",
    " service temporarily",
    " gateway time",
];

/// An HTTP status that starts with `code`.
fn status(lower: &str, code: &str) -> Option<(usize, usize)> {
    let bytes = lower.as_bytes();
    let mut found = None;
    for (at, _) in lower.match_indices(code) {
        let digit = |n: usize| bytes.get(n).is_some_and(u8::is_ascii_digit);
        let joined = |n: usize| {
            bytes
                .get(n)
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-')
        };
        if at > 0 && (joined(at - 1) || bytes.get(at - 1) == Some(&b'.'))
            || !(digit(at + 1) && digit(at + 2))
            || joined(at + 3)
        {
            continue;
        }
        let mut from = at.saturating_sub(16);
        while !lower.is_char_boundary(from) {
            from += 1;
        }
        let before = lower.get(from..at).unwrap_or_default();
        let after = lower.get(at + 3..).unwrap_or_default();
        if BEFORE.iter().any(|word| before.contains(word)) || AFTER.iter().any(|word| after.starts_with(word))
        {
            found = Some((at, 3));
        }
    }
    found
}
