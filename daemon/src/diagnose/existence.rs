//! Not there: is it the tag or the repository? A 404 alone does not tell, so the repository's
//! list of tags was asked for as well.

use syncd_config::reference::Target;

use super::facts::{Facts, Fault, Tags};
use super::faults::Finding;
use crate::oci::ErrorKind;
use crate::report::{Cause, Confidence};

/// The finding for a manifest that is not there.
pub(crate) fn finding(facts: &Facts, fault: &Fault) -> Option<Finding> {
    let reference = facts.reference.as_ref().ok()?;
    let route = facts.route.as_ref()?;
    let new = |cause, confidence, evidence: &str| Finding::new(cause, confidence, evidence, &fault.place);
    let unseen = if facts.anonymous() {
        Cause::AuthMissing
    } else {
        Cause::PermissionDenied
    };
    // `/v2/` itself is not there either, and nothing speaks the registry protocol.
    if matches!(&facts.api, Some(Ok(api)) if api.status == 404) && !fault.has_code() {
        let evidence = format!("/v2/ is not there either: {}", fault.evidence());
        return Some(
            new(Cause::RegistryError, Confidence::Possible, &evidence)
                .or(&[Cause::RepoNotFound, Cause::ProxyError]),
        );
    }
    Some(match &facts.tags {
        Some(Ok(tags)) if !tags.names.is_empty() => listed(tags, &reference.target(), fault),
        Some(Err(tags)) if tags.kind == ErrorKind::RepositoryUnknown || tags.kind.is_not_found() => {
            // A registry that lets everybody in hides nothing, and our own says what it has.
            if (facts.open() || route.own) && tags.names_code("NAME_UNKNOWN") {
                new(Cause::RepoNotFound, Confidence::Certain, &tags.evidence())
            } else if fault.kind == ErrorKind::RepositoryUnknown || tags.names_code("NAME_UNKNOWN") {
                new(Cause::RepoNotFound, Confidence::Likely, &tags.evidence()).or(&[unseen])
            } else {
                undecided(fault, unseen)
            }
        }
        _ => undecided(fault, unseen),
    })
}

/// The repository is there: the tag is not, unless the registry contradicts itself.
fn listed(tags: &Tags, target: &Target, fault: &Fault) -> Finding {
    let evidence = fault.evidence();
    let new = |cause, confidence, evidence: &str| Finding::new(cause, confidence, evidence, &fault.place);
    match target {
        Target::Tag(tag) if tags.names.iter().any(|name| name == tag.as_str()) => new(
            Cause::RegistryError,
            Confidence::Likely,
            &format!("the registry lists the tag {tag} and has no manifest for it: {evidence}"),
        )
        .or(&[Cause::ContentCorrupt]),
        _ => new(Cause::TagNotFound, Confidence::Certain, &evidence),
    }
}

/// The list of tags does not help: what the 404 itself says.
fn undecided(fault: &Fault, unseen: Cause) -> Finding {
    let new = |cause, confidence| Finding::new(cause, confidence, &fault.evidence(), &fault.place);
    if fault.kind == ErrorKind::RepositoryUnknown {
        new(Cause::RepoNotFound, Confidence::Likely).or(&[Cause::TagNotFound, unseen])
    } else if fault.names_code("MANIFEST_UNKNOWN") {
        new(Cause::TagNotFound, Confidence::Likely).or(&[Cause::RepoNotFound, unseen])
    } else {
        new(Cause::TagNotFound, Confidence::Possible).or(&[Cause::RepoNotFound, unseen])
    }
}
