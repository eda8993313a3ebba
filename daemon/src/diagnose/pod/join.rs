//! From the node's words, the pod's secrets and one question to the registry to a cause. Pure.
//!
//! The words decide what kind of trouble it is. Within the family of rights and existence they
//! cannot: registries answer alike for private, missing and misspelt names. There the secrets say
//! with which credential the node asks, and the probe says what the registry answers to it.
//! `certain` is left to what has a single explanation; the probe goes out from where syncd runs,
//! so a probe that works never takes back what a node said.

use super::creds::Creds;
pub(super) use super::evidence::{Evidence, Family, Joined, Seen, Story, family};
use super::told::Told;
use crate::diagnose::faults::Finding;
use crate::report::Cause::{
    self, AuthMissing, AuthTokenExpired, AuthWrongCredentials, BlockedByPolicy, CredentialProviderFailed,
    MirrorFault, NoCauseInMessage, PermissionDenied, RepoNotFound, SecretMisconfigured, SecretMissing,
    TagNotFound, Unknown,
};
use crate::report::Confidence::{self, Certain, Likely, Possible};

/// The cause.
pub(super) fn join(evidence: &Evidence<'_>) -> Joined {
    let words = words(evidence.told);
    let mut joined = match family(words.cause) {
        Family::Node => said(words, Story::Words),
        // Such a secret ends every pull before anything is asked.
        Family::None if matches!(evidence.creds, Creds::Malformed { .. }) => malformed(evidence, &words),
        Family::None => from_probe(evidence, words),
        Family::Access => access(evidence, words),
        Family::Remote => remote(evidence, words),
    };
    tidy(&mut joined.finding);
    joined
}

/// The node's words as a finding.
fn words(told: &Told) -> Finding {
    let Some(first) = told.first() else {
        return Finding::new(Unknown, Possible, "", "");
    };
    let place = first.place.as_deref().unwrap_or_default();
    let rest: Vec<Cause> = told.ranked.iter().skip(1).map(|ranked| ranked.cause).collect();
    Finding::new(first.cause, first.confidence, &first.evidence, place).or(&rest)
}

fn said(finding: Finding, story: Story) -> Joined {
    Joined { finding, story }
}

/// Another cause for the same words.
fn instead(words: &Finding, cause: Cause, confidence: Confidence) -> Finding {
    Finding::new(cause, confidence, &words.evidence, &words.place)
}

/// The likeliest first, each once, and not too many.
fn tidy(finding: &mut Finding) {
    let mut seen = vec![finding.cause];
    finding.alternatives.retain(|other| {
        let new =
            !seen.contains(&other.cause) && !matches!(other.cause, Cause::None | Unknown | NoCauseInMessage);
        seen.push(other.cause);
        new
    });
    finding.alternatives.truncate(3);
    if finding.confidence == Certain {
        finding.alternatives.clear();
    }
}

fn malformed(evidence: &Evidence<'_>, words: &Finding) -> Joined {
    let agrees = words.cause == SecretMisconfigured;
    let confidence = if agrees { Certain } else { Likely };
    let mut finding = instead(words, SecretMisconfigured, confidence);
    if !agrees && family(words.cause) == Family::Access {
        finding = finding.or(&[words.cause]);
    }
    with_secrets(evidence, finding)
}

/// A finding that the secrets decide, with what is wrong with them as evidence when the node's
/// words have none.
fn with_secrets(evidence: &Evidence<'_>, mut finding: Finding) -> Joined {
    if finding.evidence.is_empty() {
        finding.evidence = evidence.creds.told();
    }
    said(finding, Story::Secrets)
}

/// Who may pull, and what exists.
fn access(evidence: &Evidence<'_>, words: Finding) -> Joined {
    if matches!(evidence.creds, Creds::Malformed { .. }) {
        return malformed(evidence, &words);
    }
    let absent = matches!(words.cause, TagNotFound | RepoNotFound);
    match evidence.seen {
        Seen::Missing(found) => missing(words, found),
        // Somebody told the node that it is not there: not the registry, as far as it is seen from
        // here. containerd tells a mirror's 404 before its failure to reach the registry.
        Seen::Works if absent && evidence.mirror_lacks => mirror(words),
        Seen::Unreached(found) if absent && found.cause != Unknown => match evidence.mirror_lacks {
            true => mirror(words),
            false => said(words.or(&[MirrorFault]), Story::Words),
        },
        Seen::Works => works(evidence, words),
        Seen::WantsLogin(found) => wants_login(evidence, words, found),
        Seen::Refused(found) => refused(evidence, words, found),
        Seen::Denied(found) => denied(evidence, words, found),
        Seen::Blocked(found) => blocked(evidence, words, found),
        Seen::NotAsked | Seen::Fails(_) | Seen::Unreached(_) => by_secrets(evidence, words),
    }
}

/// The mirror that the configuration names lacks the image.
fn mirror(words: Finding) -> Joined {
    let finding = instead(&words, MirrorFault, Likely).or(&[words.cause]);
    said(finding, Story::Mirror)
}

/// The registry says that it is not there, to the credential that the node has.
fn missing(words: Finding, found: &Finding) -> Joined {
    let agrees = words.cause == TagNotFound || words.cause == found.cause;
    let mut finding = found.clone();
    if !agrees {
        finding.confidence = finding.confidence.min(Likely);
        finding = finding.or(&[words.cause]);
    }
    if !words.evidence.is_empty() {
        finding.evidence = format!("{}; from here: {}", words.evidence, found.evidence);
    }
    said(finding, Story::Probe)
}

/// The node was refused, and from here it works with the node's credential.
fn works(evidence: &Evidence<'_>, words: Finding) -> Joined {
    let told_missing = !evidence.told.missing.is_empty();
    let mut finding = match evidence.creds {
        // The secret is there now; kubelet said that it was not.
        Creds::Sent(_) if told_missing && is_refusal(&words) => {
            instead(&words, SecretMissing, Likely).or(&[words.cause])
        }
        // A named secret is of no use, yet nothing is needed from here.
        Creds::Missing { .. } | Creds::Unfit { .. } if is_refusal(&words) => {
            words.clone().or(&[BlockedByPolicy, MirrorFault])
        }
        _ => words.clone(),
    };
    if matches!(words.cause, TagNotFound | RepoNotFound) {
        finding = finding.or(&[MirrorFault]);
    }
    finding.confidence = finding.confidence.min(Likely);
    said(finding, Story::WorksFromHere)
}

/// The registry wants a login and none of the pod's secrets gives one.
fn wants_login(evidence: &Evidence<'_>, words: Finding, found: &Finding) -> Joined {
    let hidden = found.cause == RepoNotFound;
    let evidence_of = |mut finding: Finding| {
        if finding.evidence.is_empty() {
            finding.evidence.clone_from(&found.evidence);
        }
        finding
    };
    let by_pod = match evidence.creds {
        Creds::Missing { .. } => Some(SecretMissing),
        Creds::Unfit { .. } => Some(SecretMisconfigured),
        _ => None,
    };
    if let Some(cause) = by_pod {
        let also: &[Cause] = if hidden { &[RepoNotFound] } else { &[AuthMissing] };
        let finding = instead(&words, cause, Likely).or(also);
        return said(evidence_of(finding), Story::Secrets);
    }
    if let Creds::Unread { .. } = evidence.creds {
        // Whether a secret was sent is what cannot be seen; the words may tell.
        let mut finding = if is_refusal(&words) {
            words
        } else {
            found.clone().or(&[words.cause])
        };
        finding.confidence = finding.confidence.min(Possible);
        let finding = finding.or(&[SecretMisconfigured, AuthMissing]);
        return said(evidence_of(finding), Story::Words);
    }
    // The node sent something all the same: of its own provider.
    if evidence.told.sent == Some(true) {
        let finding = instead(&words, AuthWrongCredentials, Likely);
        return said(finding.or(&[CredentialProviderFailed, words.cause]), Story::Words);
    }
    if words.cause == CredentialProviderFailed {
        return said(words.or(&[AuthMissing]), Story::Words);
    }
    // A plain 404 comes after the door: the node got further than this machine.
    if matches!(words.cause, TagNotFound | RepoNotFound) && !allows(&words, AuthMissing) {
        return said(words.or(&[AuthMissing]), Story::Words);
    }
    let finding = if hidden {
        instead(&words, RepoNotFound, Likely).or(&[AuthMissing])
    } else {
        instead(&words, AuthMissing, Likely).or(&[RepoNotFound])
    };
    said(evidence_of(finding), Story::Probe)
}

/// The credential is refused from here as well.
fn refused(evidence: &Evidence<'_>, words: Finding, found: &Finding) -> Joined {
    let over = evidence.creds.is_over();
    let says_so = found.cause == AuthTokenExpired || words.cause == AuthTokenExpired;
    let mut finding = match (over, says_so) {
        (true, true) => instead(&words, AuthTokenExpired, Certain),
        (true, false) => instead(&words, AuthTokenExpired, Likely).or(&[AuthWrongCredentials]),
        (false, true) => instead(&words, AuthTokenExpired, Likely).or(&[AuthWrongCredentials]),
        (false, false) if evidence.creds.is_short_lived() => {
            instead(&words, AuthWrongCredentials, Likely).or(&[AuthTokenExpired])
        }
        (false, false) => instead(&words, AuthWrongCredentials, Likely).or(&[PermissionDenied]),
    };
    if finding.evidence.is_empty() {
        finding.evidence.clone_from(&found.evidence);
    }
    said(finding, Story::Probe)
}

/// The credential is accepted, and has no right to this repository.
fn denied(evidence: &Evidence<'_>, words: Finding, found: &Finding) -> Joined {
    let mut finding = if evidence.creds.is_over() {
        // ECR says 403 to a token that is past its time.
        instead(&words, AuthTokenExpired, Likely).or(&[PermissionDenied])
    } else {
        let mut finding = instead(&words, found.cause, Likely);
        finding.alternatives.clone_from(&found.alternatives);
        finding
    };
    if finding.evidence.is_empty() {
        finding.evidence.clone_from(&found.evidence);
    }
    said(finding, Story::Probe)
}

/// A refusal without a word on rights.
fn blocked(evidence: &Evidence<'_>, words: Finding, found: &Finding) -> Joined {
    let by_pod = match evidence.creds {
        Creds::Missing { .. } => Some(SecretMissing),
        Creds::Unfit { .. } => Some(SecretMisconfigured),
        _ => None,
    };
    // Nothing was sent, and the registry's words do not say that a login would not help.
    if let (Some(cause), Possible) = (by_pod, found.confidence) {
        return with_secrets(evidence, instead(&words, cause, Likely).or(&[BlockedByPolicy]));
    }
    let mut finding = found.clone();
    if !words.evidence.is_empty() {
        finding.evidence.clone_from(&words.evidence);
    }
    said(finding.or(&[words.cause]), Story::Probe)
}

/// Without an answer of the registry: the node's words and the pod's secrets.
fn by_secrets(evidence: &Evidence<'_>, words: Finding) -> Joined {
    if !is_refusal(&words) {
        return said(words, Story::Words);
    }
    let cause = words.cause;
    match evidence.creds {
        Creds::Missing { .. } => with_secrets(evidence, instead(&words, SecretMissing, Likely).or(&[cause])),
        Creds::Unfit { .. } => with_secrets(
            evidence,
            instead(&words, SecretMisconfigured, Likely).or(&[cause]),
        ),
        Creds::Sent(_) if !evidence.told.missing.is_empty() && cause == SecretMissing => {
            said(words, Story::Words)
        }
        Creds::Sent(_) if evidence.creds.is_over() => {
            let also = if cause == AuthTokenExpired {
                AuthWrongCredentials
            } else {
                cause
            };
            with_secrets(evidence, instead(&words, AuthTokenExpired, Likely).or(&[also]))
        }
        // Something was sent, so it is not for want of a login.
        Creds::Sent(_) if cause == AuthMissing => {
            let finding = instead(&words, AuthWrongCredentials, Likely);
            said(finding.or(&[PermissionDenied, RepoNotFound]), Story::Secrets)
        }
        Creds::Unnamed { .. } if cause == AuthWrongCredentials && evidence.told.sent != Some(true) => {
            let finding = instead(&words, AuthMissing, Likely);
            said(finding.or(&[AuthWrongCredentials, RepoNotFound]), Story::Secrets)
        }
        _ => said(words, Story::Words),
    }
}

/// Whether the words may come of a missing or bad login.
fn is_refusal(words: &Finding) -> bool {
    const LOGIN: [Cause; 7] = [
        AuthMissing,
        AuthWrongCredentials,
        AuthTokenExpired,
        SecretMissing,
        SecretMisconfigured,
        CredentialProviderFailed,
        PermissionDenied,
    ];
    LOGIN.contains(&words.cause) || LOGIN.iter().any(|cause| allows(words, *cause))
}

fn allows(words: &Finding, cause: Cause) -> bool {
    words.cause == cause || words.alternatives.iter().any(|other| other.cause == cause)
}

/// The way to the registry, and the registry itself: the node's words stand.
fn remote(evidence: &Evidence<'_>, words: Finding) -> Joined {
    let Some(found) = evidence.seen.finding() else {
        let works = *evidence.seen == Seen::Works;
        return said(words, if works { Story::WorksFromHere } else { Story::Words });
    };
    if found.cause == words.cause {
        let confidence = words.confidence.max(found.confidence.min(Likely));
        let finding = Finding { confidence, ..words };
        return said(finding, Story::Confirmed);
    }
    // The mirror lacks it, and so does the registry behind it.
    if words.cause == MirrorFault && matches!(evidence.seen, Seen::Missing(_)) {
        return said(words.or(&[found.cause]), Story::Words);
    }
    // Within the family only: a name that resolves here says nothing about the node's resolver.
    if allows(&words, found.cause) && family(found.cause) == Family::Remote && words.confidence < Certain {
        let mut finding = found.clone();
        finding.confidence = found.confidence.min(Likely);
        finding.evidence.clone_from(&words.evidence);
        return said(finding.or(&[words.cause]), Story::Confirmed);
    }
    said(words, Story::Words)
}

/// The node's words hold no cause: what is seen from here, with care.
fn from_probe(evidence: &Evidence<'_>, words: Finding) -> Joined {
    match evidence.seen {
        Seen::NotAsked | Seen::Works => said(words, Story::WorksFromHere),
        Seen::Fails(found) | Seen::Unreached(found) if found.cause != Unknown => {
            let mut finding = found.clone();
            finding.confidence = finding.confidence.min(Likely);
            said(finding, Story::Probe)
        }
        Seen::Fails(_) | Seen::Unreached(_) => said(words, Story::Words),
        _ => {
            let blank = Finding::new(Unknown, Possible, "", "");
            let mut joined = access(evidence, blank);
            joined.finding.confidence = joined.finding.confidence.min(Likely);
            joined
        }
    }
}
