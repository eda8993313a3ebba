//! Who may pull, and what exists. Registries answer alike for private, misspelt and forbidden
//! names; what their words are worth depends on who says them.

use super::Hop;
use super::access_words::{MISSING, PLAIN};
use super::place::{Family, Place};
use super::rule::{Rule, find};
use crate::report::Cause as C;
use crate::report::Confidence::{self, Likely, Possible};

/// An answer of this part: causes with their confidence, and where the words stand.
pub(super) struct Answer {
    pub(super) causes: Vec<(C, Confidence)>,
    pub(super) at: (usize, usize),
}

pub(super) fn judge(lower: &str, place: &Place) -> Option<Answer> {
    // The anonymous token was refused: nothing was sent (containerd's authorizer).
    let sent = lower.contains("fetch oauth token");
    if let Some(answer) = plain(PLAIN, lower) {
        return Some(reweighed(answer, lower, place));
    }
    if (lower.contains("fetch anonymous token") || sent)
        && let Some(answer) = token(lower, place, sent)
    {
        return Some(answer);
    }
    if (lower.contains("requesting bearer token") || lower.contains("unable to retrieve auth token"))
        && let Some(mut answer) = token(lower, place, true)
    {
        if place.family == Family::Hub {
            answer.causes = pair(C::AuthWrongCredentials, &[C::RegistryError]);
        }
        return Some(answer);
    }
    if let Some(at) = refused(lower) {
        return Some(by_family(lower, place, at));
    }
    if let Some(answer) = blob_missing(lower, place) {
        return Some(answer);
    }
    if let Some(mut answer) = plain(MISSING, lower) {
        if lower.contains("no pull access") {
            answer.causes = denied(lower, place.family);
        }
        return Some(answer);
    }
    bare(lower, place)
}

fn plain(rules: &[Rule], lower: &str) -> Option<Answer> {
    rules.iter().find_map(|rule| {
        let at = rule.find(lower)?;
        let mut causes = vec![(rule.cause, rule.confidence)];
        causes.extend(rule.also.iter().map(|cause| (*cause, Possible)));
        Some(Answer { causes, at })
    })
}

/// Where plain words need a second look.
fn reweighed(mut answer: Answer, lower: &str, place: &Place) -> Answer {
    let first = answer.causes.first().map(|(cause, _)| *cause);
    // containers/image says this for every 401 of a token server, also without a login.
    if first == Some(C::AuthWrongCredentials)
        && place.family == Family::Hub
        && lower.contains("insufficient_scope")
    {
        answer.causes = pair(C::RepoNotFound, &[C::AuthMissing]);
    }
    if first == Some(C::PermissionDenied) && lower.contains("you may have invalid credentials") {
        answer.causes = pair(C::PermissionDenied, &[C::AuthMissing]);
    }
    answer
}

fn pair(first: C, also: &[C]) -> Vec<(C, Confidence)> {
    let mut out = vec![(first, Likely)];
    out.extend(also.iter().map(|cause| (*cause, Possible)));
    out
}

/// The token server refused.
fn token(lower: &str, place: &Place, sent: bool) -> Option<Answer> {
    let at = [
        "#401",
        "#403",
        "unauthorized",
        "denied",
        "forbidden",
        "#400",
        "#404",
    ]
    .iter()
    .find_map(|words| find(lower, words))?;
    let causes = match (sent, place.family) {
        (true, family) if family != Family::Ghcr && find(lower, "#403").is_some() => {
            pair(C::PermissionDenied, &[C::AuthWrongCredentials])
        }
        (true, Family::Ecr | Family::EcrPublic | Family::Google | Family::Acr) => pair(
            C::AuthWrongCredentials,
            &[C::AuthTokenExpired, C::PermissionDenied],
        ),
        (true, _) => pair(
            C::AuthWrongCredentials,
            &[C::PermissionDenied, C::AuthTokenExpired],
        ),
        (false, Family::Hub) => pair(C::AuthMissing, &[C::RegistryError]),
        (false, _) => pair(C::AuthMissing, &[C::PermissionDenied, C::RepoNotFound]),
    };
    Some(Answer { causes, at })
}

/// Words of a refusal, the most telling first.
fn refused(lower: &str) -> Option<(usize, usize)> {
    const WORDS: [&str; 18] = [
        "pull access denied",
        "no basic auth credentials",
        "requested access to the resource is denied",
        "access to the requested resource is not authorized",
        "denied: denied",
        "access forbidden",
        "unauthorized to access repository",
        "insufficient_scope",
        "insufficient scope",
        "authentication required",
        "authentication is required",
        "no credentials on this request",
        "authorization failed",
        "access denied",
        "denied: ",
        "unauthorized",
        "#401",
        "forbidden",
    ];
    WORDS
        .iter()
        .find_map(|words| find(lower, words))
        .or_else(|| find(lower, "#403"))
        .or_else(|| find(lower, "denied$"))
}

fn by_family(lower: &str, place: &Place, at: (usize, usize)) -> Answer {
    let has = |words: &str| lower.contains(words);
    let causes = if has("no basic auth credentials") {
        no_basic(place.family)
    } else if has("denied: denied") {
        pair(
            C::AuthWrongCredentials,
            &[C::AuthTokenExpired, C::PermissionDenied],
        )
    } else if has("unauthorized to access repository") {
        pair(C::AuthMissing, &[C::PermissionDenied, C::SecretMisconfigured])
    } else if has("access forbidden") {
        pair(C::AuthMissing, &[C::PermissionDenied, C::RepoNotFound])
    } else if has("pull access denied") || has("requested access to the resource is denied") {
        denied(lower, place.family)
    } else if has("no credentials on this request") {
        pair(C::AuthMissing, &[C::RepoNotFound])
    } else if has("access to the requested resource is not authorized") && place.family == Family::RedHat {
        pair(C::AuthMissing, &[C::AuthWrongCredentials])
    } else if has("access to the requested resource is not authorized") {
        pair(C::RepoNotFound, &[C::AuthMissing, C::PermissionDenied])
    } else if has("insufficient_scope") || has("insufficient scope") {
        scope(place.family)
    } else if has("unauthorized") || has("authentication required") || find(lower, "#401").is_some() {
        unauthorized(lower, place.family)
    } else {
        forbidden(lower, place.family)
    };
    Answer { causes, at }
}

/// A Basic challenge, and nothing to answer it with.
fn no_basic(family: Family) -> Vec<(C, Confidence)> {
    match family {
        // The node's own provider is the usual way to these registries.
        Family::Ecr => pair(C::CredentialProviderFailed, &[C::AuthMissing]),
        _ => pair(C::AuthMissing, &[C::SecretMisconfigured]),
    }
}

fn denied(lower: &str, family: Family) -> Vec<(C, Confidence)> {
    match family {
        Family::Ecr | Family::EcrPublic => pair(C::AuthTokenExpired, &[C::AuthMissing, C::RepoNotFound]),
        Family::Hub => pair(C::RepoNotFound, &[C::AuthMissing]),
        _ if lower.contains("authorization failed") => pair(C::AuthMissing, &[C::RepoNotFound]),
        _ => pair(C::RepoNotFound, &[C::AuthMissing, C::PermissionDenied]),
    }
}

fn scope(family: Family) -> Vec<(C, Confidence)> {
    match family {
        Family::Hub => pair(C::RepoNotFound, &[C::AuthMissing]),
        _ => pair(C::PermissionDenied, &[C::AuthMissing]),
    }
}

fn unauthorized(lower: &str, family: Family) -> Vec<(C, Confidence)> {
    // OpenShift's registry says so to a service account that may not pull from the namespace.
    if lower.contains("openshift-image-registry.svc") {
        return pair(C::PermissionDenied, &[C::AuthWrongCredentials]);
    }
    match family {
        Family::Ghcr => pair(C::AuthMissing, &[C::RepoNotFound]),
        Family::Quay => pair(C::AuthMissing, &[C::RepoNotFound]),
        Family::Ecr => pair(C::CredentialProviderFailed, &[C::AuthMissing]),
        Family::RedHat => pair(C::AuthMissing, &[C::AuthWrongCredentials]),
        _ => pair(C::AuthWrongCredentials, &[C::AuthMissing]),
    }
}

fn forbidden(lower: &str, family: Family) -> Vec<(C, Confidence)> {
    let worded = lower.contains("denied");
    match family {
        Family::K8s | Family::Google if !worded => pair(C::BlockedByPolicy, &[C::PermissionDenied]),
        Family::Storage => pair(C::BlockedByPolicy, &[C::PermissionDenied]),
        Family::Ecr => pair(C::PermissionDenied, &[C::RepoNotFound, C::AuthTokenExpired]),
        Family::EcrPublic => pair(C::AuthTokenExpired, &[C::AuthWrongCredentials]),
        Family::Ghcr => pair(C::AuthWrongCredentials, &[C::PermissionDenied]),
        _ => pair(C::PermissionDenied, &[C::BlockedByPolicy]),
    }
}

/// The manifest was there, a blob of it is not: no tag is missing.
fn blob_missing(lower: &str, place: &Place) -> Option<Answer> {
    if place.hop != Hop::Blob {
        return None;
    }
    let at = find(lower, "not found").or_else(|| find(lower, "#404"))?;
    let causes = match place.family {
        // Azure's cache rules list what they have not fetched yet.
        Family::Acr => pair(C::MirrorFault, &[C::ContentCorrupt]),
        _ => pair(C::ContentCorrupt, &[C::MirrorFault]),
    };
    Some(Answer { causes, at })
}

/// A status without its number, and containerd's `R: not found`.
fn bare(lower: &str, place: &Place) -> Option<Answer> {
    if let Some(at) = find(lower, ": not found$").or_else(|| find(lower, ": not found")) {
        let also: &[C] = match place.family {
            Family::Hub => &[],
            _ => &[C::RepoNotFound],
        };
        return Some(Answer {
            causes: pair(C::TagNotFound, also),
            at,
        });
    }
    // A status that was lost on the way: `unexpected status from HEAD request to URL`.
    let at = find(lower, "unexpected status from ")?;
    let rest = lower.get(at.0 + at.1..)?;
    if rest.contains(": ") {
        return None;
    }
    Some(Answer {
        causes: forbidden(lower, place.family),
        at,
    })
}
