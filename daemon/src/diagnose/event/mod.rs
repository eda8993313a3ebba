//! What kubelet and the container runtimes say when a pull fails, read as causes.
//!
//! Pure and bounded: a text goes in, ranked causes come out. The rules follow how the runtimes
//! build their texts: who wraps whom, which words a registry has for what, which of several
//! joined errors decides. `Certain` is kept for words that have a single origin; an answer about
//! rights or existence is a ranked pair, because registries answer alike for both.

mod access;
mod access_words;
mod answer;
mod fold;
mod frames;
mod local;
mod pieces;
mod place;
mod policy;
mod registry;
mod remote;
mod rule;
mod store;

pub(in crate::diagnose) use self::answer::{answer, fixes};
use self::fold::{Folded, fold};
use self::pieces::{Piece, Role};
use self::place::Place;
use self::rule::Rule;
use crate::report::{Cause, Confidence};

/// Where in a pull it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Asking whether the registry is there.
    Api,
    /// The token server.
    Token,
    /// Tag or digest to manifest.
    Manifest,
    /// Config and layers.
    Blob,
    /// A mirror that is asked before the registry.
    Mirror,
    /// The pause image of the pod's sandbox.
    Sandbox,
    /// The node itself; no request.
    Node,
    /// The text does not say.
    Unknown,
}

/// A cause that the text allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The cause.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// The deciding words, safe to show.
    pub evidence: String,
    /// The host that failed: of the URL, not of the reference. Safe to show.
    pub place: Option<String>,
    /// Where in the pull.
    pub hop: Hop,
}

/// What a text says; the likeliest cause first, nothing when it says nothing about a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The causes.
    pub ranked: Vec<Ranked>,
}

/// Reads one message.
#[must_use]
pub fn read(text: &str) -> Reading {
    let folded = fold(text);
    if let Some(reading) = frames::sandbox(&folded) {
        return reading;
    }
    judge(&folded)
}

/// The most lines of a page of events that are read one by one.
const LINES: usize = 2000;

/// Reads a message, or a page of events, a description of a pod or a list as JSON: line by line
/// and as a whole, and takes the reading that says the most.
#[must_use]
pub fn best(text: &str) -> Reading {
    let text = fold::bounded(text);
    let mut found = read(&text);
    let framed: Vec<&str> = text.lines().take(LINES).filter(|line| is_event(line)).collect();
    if framed.len() < 2 {
        // One message, perhaps broken into lines: its parts say less than the whole.
        return found;
    }
    // A page tells other stories as well; a line that names its cause outranks the whole.
    let mut worth = worth_of(&found).min(Worth::Possible);
    for line in framed {
        let reading = read(line);
        let line_worth = worth_of(&reading);
        if line_worth > worth {
            worth = line_worth;
            found = reading;
        }
    }
    found
}

/// Whether a line is an event, or the message of one.
fn is_event(line: &str) -> bool {
    const FRAMES: [&str; 9] = [
        "Failed to pull image",
        "Back-off pulling image",
        "ErrImagePull",
        "ImagePullBackOff",
        "Warning ",
        "Normal ",
        "message:",
        "\"message\":",
        "\"note\":",
    ];
    FRAMES.iter().any(|frame| line.contains(frame))
}

/// How much a reading says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Nothing,
    NoCause,
    Elsewhere,
    Possible,
    Likely,
    Certain,
}

fn worth_of(reading: &Reading) -> Worth {
    match reading.ranked.first() {
        None => Worth::Nothing,
        Some(first) => match (first.cause, first.confidence) {
            (Cause::NoCauseInMessage, _) => Worth::NoCause,
            (Cause::NotImageProblem, _) => Worth::Elsewhere,
            (_, Confidence::Possible) => Worth::Possible,
            (_, Confidence::Likely) => Worth::Likely,
            (_, Confidence::Certain) => Worth::Certain,
        },
    }
}

fn judge(folded: &Folded) -> Reading {
    let pieces = pieces::pieces(folded);
    let mirrors = pieces.iter().any(|piece| piece.role == Role::Mirror);
    // The place may be named outside of the piece that decides.
    let around = place::place(folded);
    let mut pieces = pieces;
    if !mirrors {
        // Of several credentials, the one that got as far as a blob tells more.
        pieces.sort_by_key(|piece| place::place(&piece.text).hop != Hop::Blob);
    }
    let mut found: Vec<Vec<Ranked>> = pieces
        .iter()
        .map(|piece| of_piece(piece, &around))
        .filter(|ranked| !ranked.is_empty())
        .collect();
    if found.is_empty() {
        return Reading {
            ranked: frames::no_cause(folded),
        };
    }
    let mut ranked = found.remove(0);
    for other in found.into_iter().flatten() {
        if other.confidence > Confidence::Possible && !mirrors {
            add(&mut ranked, other.cause);
        }
    }
    if mirrors {
        add(&mut ranked, Cause::MirrorFault);
    }
    ranked.truncate(3);
    Reading { ranked }
}

fn add(ranked: &mut Vec<Ranked>, cause: Cause) {
    if let (Some(first), false) = (ranked.first().cloned(), ranked.iter().any(|r| r.cause == cause)) {
        ranked.insert(
            1,
            Ranked {
                cause,
                confidence: Confidence::Possible,
                ..first
            },
        );
    }
}

/// The table after which what the registry says about rights is looked at: it stands between the
/// transport and the registry's failures.
const ACCESS_AFTER: usize = 11;

/// The tables in their order: what stops earlier in a pull comes first.
fn of_piece(piece: &Piece, around: &Place) -> Vec<Ranked> {
    let text = &piece.text;
    let lower = text.lower.as_str();
    let mut place = place::place(text);
    if place.host.is_none() && place.reference.is_none() {
        place = around.clone();
    }
    let groups: [(&[Rule], bool); 15] = [
        (local::KUBELET, true),
        (store::FIRST, true),
        (policy::POLICY, false),
        (local::CREDENTIALS, true),
        (local::OTHER, true),
        (registry::CONTENT, false),
        (store::STORE, true),
        (store::RUNTIME, true),
        (registry::LIMITS, false),
        (remote::TRANSPORT, false),
        (registry::MIRRORS, false),
        (registry::PAGES, false),
        (registry::FAILS, false),
        (registry::NONSENSE, false),
        (local::ENDED, false),
    ];
    for (n, (rules, node)) in groups.into_iter().enumerate() {
        let hit = rules.iter().find_map(|rule| Some((rule, rule.find(lower)?)));
        if let Some((rule, at)) = hit {
            let mut causes = vec![(rule.cause, rule.confidence)];
            causes.extend(rule.also.iter().map(|cause| (*cause, Confidence::Possible)));
            let causes = if node {
                causes
            } else {
                on_the_way(causes, &place, lower)
            };
            return ranked(text, at, &causes, &place, node);
        }
        if n == ACCESS_AFTER
            && let Some(answer) = access::judge(lower, &place)
        {
            let causes = on_the_way(answer.causes, &place, lower);
            return ranked(text, answer.at, &causes, &place, false);
        }
    }
    Vec::new()
}

/// A host that is a mirror, or a port that is a proxy's, changes what the words mean.
fn on_the_way(causes: Vec<(Cause, Confidence)>, place: &Place, lower: &str) -> Vec<(Cause, Confidence)> {
    let Some((first, confidence)) = causes.first().copied() else {
        return causes;
    };
    let connects = matches!(
        first,
        Cause::ConnectionRefused | Cause::NetworkTimeout | Cause::NetworkUnreachable
    );
    if connects && other_port(lower, place) {
        return vec![
            (Cause::ProxyError, Confidence::Likely),
            (first, Confidence::Possible),
        ];
    }
    let kept = matches!(
        first,
        Cause::SignatureRejected
            | Cause::PlatformMismatch
            | Cause::UnsupportedManifest
            | Cause::BlockedByPolicy
            | Cause::PullCanceled
            | Cause::ProxyError
    );
    if !place.mirror {
        return causes;
    }
    if kept {
        let doubt = |(cause, confidence): (Cause, Confidence)| (cause, confidence.min(Confidence::Likely));
        return causes.into_iter().map(doubt).collect();
    }
    if first == Cause::RateLimited {
        return vec![(first, confidence), (Cause::MirrorFault, Confidence::Possible)];
    }
    vec![
        (Cause::MirrorFault, Confidence::Likely),
        (first, Confidence::Possible),
    ]
}

/// Whether the connection went to a port that is not the URL's: then a proxy is in between.
fn other_port(lower: &str, place: &Place) -> bool {
    let Some(port) = place.port else {
        return false;
    };
    let Some(at) = lower.rfind("dial tcp ") else {
        return false;
    };
    let rest = lower.get(at + "dial tcp ".len()..).unwrap_or_default();
    let address = rest.split(": ").next().unwrap_or_default();
    let address = address.rsplit("->").next().unwrap_or_default();
    let dialled = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse::<u16>().ok());
    dialled.is_some_and(|dialled| dialled != port && dialled != 53)
}

fn ranked(
    text: &Folded,
    at: (usize, usize),
    causes: &[(Cause, Confidence)],
    place: &Place,
    node: bool,
) -> Vec<Ranked> {
    let evidence = evidence(text, at);
    let host = place.host.as_ref().filter(|_| !node);
    let host = host.map(|host| syncd_config::text::clean_to(host, 100));
    causes
        .iter()
        .map(|(cause, confidence)| Ranked {
            cause: *cause,
            confidence: *confidence,
            evidence: evidence.clone(),
            place: host.clone(),
            hop: if node { Hop::Node } else { place.hop },
        })
        .collect()
}

/// The clause around the deciding words, without what could be a secret.
fn evidence(text: &Folded, (at, length): (usize, usize)) -> String {
    const BEFORE: usize = 60;
    const AFTER: usize = 90;
    let shown = text.shown.as_str();
    let mut from = at.saturating_sub(BEFORE);
    while !shown.is_char_boundary(from) {
        from += 1;
    }
    let left = shown.get(from..at).unwrap_or_default();
    let from = left.rfind(": ").map_or_else(
        || {
            if from == 0 {
                0
            } else {
                left.find(' ').map_or(at, |space| from + space + 1)
            }
        },
        |colon| from + colon + 2,
    );
    let mut end = (at + length + AFTER).min(shown.len());
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    let mut piece = shown.get(from..end).unwrap_or_default();
    if end < shown.len() && !shown.get(end..).is_some_and(|rest| rest.starts_with(' ')) {
        // No half word at the end, unless that is all there is.
        let last = piece.rfind(' ').filter(|last| *last > at - from + length);
        piece = last.map_or(piece, |last| &piece[..last]);
    }
    let mut words: Vec<&str> = piece.split(' ').map(harmless).collect();
    for at in 1..words.len() {
        // A registry that repeats the header that it was sent.
        if is_scheme(words[at - 1]) && is_credential(words[at]) {
            words[at] = "****";
        }
    }
    syncd_config::text::clean_to(&words.join(" "), 160)
}

fn is_scheme(word: &str) -> bool {
    let bare = word.trim_start_matches(['"', '\'', '(', '[']);
    ["basic", "bearer"]
        .iter()
        .any(|scheme| bare.eq_ignore_ascii_case(scheme))
}

/// Long, and of the characters of base64 and tokens: no word of a sentence.
fn is_credential(word: &str) -> bool {
    word.len() >= 16
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+/=-._~\"')],".contains(c))
}

/// A word as it may be shown: no query, no user in a URL, no token.
fn harmless(word: &str) -> &str {
    let url = word.contains("://");
    if word.contains("eyJ") || url && word.contains('@') || word.len() > 100 && !url {
        return "****";
    }
    match word.split_once('?') {
        Some((path, _)) if url => path,
        _ => word,
    }
}

#[cfg(test)]
mod tests;
