//! What stands around the errors: the making of a sandbox, and texts that only say that a pull
//! failed.

use super::fold::Folded;
use super::{Hop, Ranked, Reading, judge, place, ranked, rule};
use crate::report::{Cause, Confidence};

/// The sandbox's own image is pulled before the pod's, and never with its secrets.
pub(super) fn sandbox(folded: &Folded) -> Option<Reading> {
    let lower = folded.lower.as_str();
    let named = lower.contains("sandbox image");
    if !named && !makes_then_pulls(lower) {
        return None;
    }
    let inner = judge(folded).ranked;
    let place = place::place(folded);
    let at = lower.find("sandbox").map_or((0, 0), |at| (at, "sandbox".len()));
    let mut out = ranked(
        folded,
        at,
        &[(Cause::SandboxImagePull, Confidence::Likely)],
        &place,
        false,
    );
    out.extend(
        inner
            .into_iter()
            .filter(|r| r.cause != Cause::NoCauseInMessage)
            .take(2),
    );
    for (n, r) in out.iter_mut().enumerate() {
        r.hop = Hop::Sandbox;
        if n > 0 {
            r.confidence = Confidence::Possible;
        }
    }
    let inner = out.get(1).map(|r| (r.evidence.clone(), r.place.clone()));
    if let (Some((evidence, place)), Some(first)) = (inner, out.first_mut()) {
        first.evidence = evidence;
        first.place = place;
    }
    Some(Reading { ranked: out })
}

/// Whether the making of a sandbox failed in a pull: in this order, or somebody else's words are
/// around them.
fn makes_then_pulls(lower: &str) -> bool {
    const MAKES: [&str; 5] = [
        "create pod sandbox",
        "createpodsandbox",
        "runpodsandbox",
        "create sandbox",
        "failedcreatepodsandbox",
    ];
    const PULLS: [&str; 8] = [
        "failed pulling image",
        "failed to pull image",
        "pulling image",
        "failed to pull and unpack",
        "initializing source",
        "unable to pull image",
        "failed to resolve",
        "error pulling image",
    ];
    let Some(at) = MAKES.iter().filter_map(|words| lower.find(words)).min() else {
        return false;
    };
    let rest = lower.get(at..).unwrap_or_default();
    PULLS.iter().any(|words| rest.contains(words))
}

/// A text about a pull that holds no cause.
pub(super) fn no_cause(folded: &Folded) -> Vec<Ranked> {
    const ABOUT: [&str; 16] = [
        "back-off pulling image",
        "imagepullbackoff",
        "errimagepull",
        "imageinspecterror",
        "failed to pull image",
        "failed to pull",
        "pulling image",
        "trying and failing to pull image",
        "image can't be pulled",
        "failed to resolve reference",
        "failed to resolve image",
        "pull failed",
        "failed to inspect image",
        "error pulling image",
        "unable to pull",
        "pull image",
    ];
    let lower = folded.lower.as_str();
    let Some(at) = ABOUT.iter().find_map(|words| rule::find(lower, words)) else {
        return Vec::new();
    };
    let bare = lower.starts_with("back-off pulling image") && !lower.contains("errimagepull:");
    let confidence = if bare {
        Confidence::Certain
    } else {
        Confidence::Likely
    };
    let place = place::place(folded);
    ranked(folded, at, &[(Cause::NoCauseInMessage, confidence)], &place, true)
}
