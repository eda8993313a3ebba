//! The verdict in one sentence.

use syncd_config::Reference;
use syncd_config::reference::Target;

use super::facts::{Facts, Fits};
use super::faults::Finding;
use crate::report::{Cause, Confidence};

/// One sentence: who fails, and how.
pub(crate) fn summary(finding: &Finding, facts: &Facts) -> String {
    match &facts.reference {
        Ok(reference) => about_image(finding, facts, reference),
        Err(error) => format!("`{}` is not an image reference: {error}.", facts.asked),
    }
}

fn about_image(finding: &Finding, facts: &Facts, reference: &Reference) -> String {
    let repository = &reference.repository;
    let at = place(finding, reference);
    let identity = facts
        .route
        .as_ref()
        .map_or_else(|| "no credential".to_owned(), |route| route.identity());
    let sure = finding.confidence == Confidence::Certain;
    match finding.cause {
        Cause::None => well(facts, reference),
        Cause::Unknown => format!(
            "The questions stopped on this side: {}.",
            trimmed(&finding.evidence)
        ),
        Cause::RepoNotFound if sure => format!("{at} has no repository {repository}."),
        Cause::RepoNotFound if facts.anonymous() => {
            format!("{at} shows no repository {repository} to a caller without a credential.")
        }
        Cause::RepoNotFound => format!("{at} shows no repository {repository} to {identity}."),
        Cause::TagNotFound => tag_not_found(&at, reference, sure),
        Cause::PlatformMismatch => format!(
            "The image exists, but not for {}: {}.",
            facts.platform,
            trimmed(&finding.evidence)
        ),
        Cause::UnsupportedManifest => {
            format!("{at} has something under this name, but no image that a runtime runs.")
        }
        Cause::ContentCorrupt => format!("{at} has the manifest, but not the whole content."),
        Cause::AuthMissing => format!("{at} wants a login, and syncd has no credential for it."),
        Cause::AuthWrongCredentials => format!("{at} refuses {identity}."),
        Cause::AuthTokenExpired => format!("{at} refuses {identity}: it is past its time."),
        Cause::PermissionDenied => {
            format!("{at} knows {identity}, but gives no right to pull {repository}.")
        }
        Cause::BlockedByPolicy => format!("{at} refuses this pull by a rule, not for want of a login."),
        Cause::RateLimited => format!("{at} lets no more pulls through for now."),
        Cause::MirrorFault => format!(
            "{} answers well, but the mirror does not: {}.",
            reference.host,
            trimmed(&finding.evidence)
        ),
        _ => network(finding, facts, &at),
    }
}

fn network(finding: &Finding, facts: &Facts, at: &str) -> String {
    match finding.cause {
        Cause::RegistryError => format!("{at} does not answer as a registry should."),
        Cause::DnsFailure => format!("The name of {at} does not resolve from here."),
        Cause::NetworkTimeout => format!("{at} does not answer in time."),
        Cause::NetworkUnreachable => format!("There is no route from here to {at}."),
        Cause::ConnectionRefused => format!("Nothing listens on {at}."),
        Cause::ConnectionReset => format!("The connection to {at} is cut."),
        Cause::ProxyError => match facts.route.as_ref().and_then(|route| route.proxy.as_ref()) {
            Some(proxy) => format!("The proxy {proxy} on the way to the registry fails or refuses."),
            None => format!("A proxy on the way to {at} fails or refuses."),
        },
        Cause::TlsUnknownCa => format!("{at} has a certificate whose issuer is not trusted here."),
        Cause::TlsHostnameMismatch => format!("The certificate of {at} is for another name."),
        Cause::TlsCertTime => format!("The certificate of {at} is out of its time, or a clock is wrong."),
        Cause::TlsHttpMismatch if facts.route.as_ref().is_some_and(|route| route.plain_http) => {
            format!("{at} speaks https, and syncd is told to use http.")
        }
        Cause::TlsHttpMismatch => format!("{at} speaks plain http, and https was tried."),
        other => format!("{at}: {}.", super::causes::about(other).title),
    }
}

fn tag_not_found(at: &str, reference: &Reference, sure: bool) -> String {
    let repository = &reference.repository;
    let what = match reference.target() {
        Target::Tag(tag) => format!("no tag {tag}"),
        Target::Digest(_) => "nothing of this digest".to_owned(),
    };
    if sure {
        format!("{at} has the repository {repository}, but {what}.")
    } else {
        format!("{at} has {what} of {repository} to show.")
    }
}

/// Nothing failed: says what that covers, and what not.
fn well(facts: &Facts, reference: &Reference) -> String {
    let how = match facts.route.as_ref().and_then(|route| route.identity.as_ref()) {
        Some(identity) => format!("with {identity}"),
        None => "without a credential".to_owned(),
    };
    let platform = match &facts.image {
        Some(Ok(image)) if image.fits != Fits::Unknown => format!(" for {}", facts.platform),
        _ => String::new(),
    };
    let layers = match &facts.blobs {
        Some(blobs) if blobs.good < blobs.all => "the layers, ",
        _ => "",
    };
    format!(
        "{} can be pulled from here{platform} {how}. Not tested: {layers}the node's own trust store, \
         its credential and its network path.",
        called(reference)
    )
}

/// The host that failed; the reference's own when the finding names none.
fn place(finding: &Finding, reference: &Reference) -> String {
    if finding.place.is_empty() {
        reference.host.to_string()
    } else {
        syncd_config::text::clean_to(&finding.place, 100)
    }
}

fn trimmed(evidence: &str) -> &str {
    evidence.trim_end_matches(['.', ' '])
}

/// How the image is called in a sentence.
fn called(reference: &Reference) -> String {
    match (&reference.tag, &reference.digest) {
        (Some(tag), None) => format!("{}/{}:{tag}", reference.host, reference.repository),
        _ => format!("{}/{}, by its digest,", reference.host, reference.repository),
    }
}
