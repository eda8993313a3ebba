//! The verdict on a pod in one or two sentences.

use super::creds::{Creds, listed};
use super::gather::Gathered;
use super::join::{Joined, Seen, Story};
use super::view::{self, State};
use crate::diagnose::causes::about;
use crate::diagnose::facts::Facts;
use crate::diagnose::faults::Finding;
use crate::report::{Cause, Confidence};

/// Who fails and how; then what was seen from here, when that is another thing.
pub(super) fn summary(gathered: &Gathered, joined: &Joined) -> String {
    let mut out = lead(gathered, joined);
    if joined.story == Story::WorksFromHere {
        out.push_str(&from_here(gathered, joined));
    }
    out
}

fn lead(gathered: &Gathered, joined: &Joined) -> String {
    let finding = &joined.finding;
    let image = view::reference(&gathered.view.container.image).ok();
    let host = image
        .as_ref()
        .map_or_else(|| "the registry".to_owned(), |image| image.host.to_string());
    match finding.cause {
        Cause::None => "The container has its image and was started.".to_owned(),
        Cause::Unknown if gathered.view.container.state == State::Starting => {
            "The container was not started yet, and nothing has failed so far.".to_owned()
        }
        Cause::Unknown => "Neither the node's words nor what was seen from here name a cause.".to_owned(),
        Cause::NotImageProblem => format!("It is not the image that holds the pod up: {}.", trimmed(finding)),
        Cause::NoCauseInMessage => "The node says that the pull fails, and not why.".to_owned(),
        Cause::ImageNeverPull => never(gathered),
        Cause::InvalidReference => match view::reference(&gathered.view.container.image) {
            Err(error) => format!(
                "`{}` is not an image reference: {error}.",
                syncd_config::text::clean(&gathered.view.container.image)
            ),
            Ok(_) => titled(finding),
        },
        Cause::SecretMissing => missing(gathered, &host),
        Cause::SecretMisconfigured => misconfigured(gathered),
        Cause::AuthMissing => auth_missing(gathered, &host),
        Cause::AuthTokenExpired => expired(gathered, &host),
        Cause::AuthWrongCredentials => match gathered.creds.first() {
            Some(login) => format!("{host} refuses the credential in pull secret `{}`.", login.secret),
            None => format!("{host} refuses the credential that the node sends."),
        },
        Cause::PermissionDenied => match (gathered.creds.first(), &image) {
            (Some(login), Some(image)) if joined.story != Story::Words => format!(
                "{host} accepts pull secret `{}`, but it may not pull {}.",
                login.secret, image.repository
            ),
            _ => titled(finding),
        },
        Cause::MirrorFault if joined.story == Story::Mirror => mirror(gathered, &host),
        _ => match (joined.story, gathered.facts()) {
            (Story::Probe | Story::Confirmed, Some(facts)) => of_probe(gathered.seen(), finding, facts),
            _ => titled(finding),
        },
    }
}

/// The sentence of a diagnosis of the image alone. What was seen from here says more than what the
/// node said of the same cause.
fn of_probe(seen: &Seen, finding: &Finding, facts: &Facts) -> String {
    let same = seen.finding().filter(|found| found.cause == finding.cause);
    crate::diagnose::summary::summary(same.unwrap_or(finding), facts)
}

fn titled(finding: &Finding) -> String {
    let title = about(finding.cause).title;
    let mut text: String = title.chars().take(1).flat_map(char::to_uppercase).collect();
    text.push_str(title.get(1..).unwrap_or_default());
    if !finding.place.is_empty() {
        text.push_str(&format!("; the host that failed is {}", finding.place));
    }
    text.push('.');
    text
}

fn trimmed(finding: &Finding) -> &str {
    finding.evidence.trim_end_matches(['.', ' ', ':'])
}

fn missing(gathered: &Gathered, host: &str) -> String {
    let namespace = &gathered.view.namespace;
    match &gathered.creds {
        Creds::Missing { names } => {
            let (noun, verb) = if names.len() == 1 {
                ("pull secret", "is")
            } else {
                ("pull secrets", "are")
            };
            format!(
                "{host} wants a login, and the pod's {noun} {} {verb} not in namespace {namespace}.",
                listed(names)
            )
        }
        _ if !gathered.told.missing.is_empty() => format!(
            "kubelet did not find pull secret {} in namespace {namespace}.",
            listed(&gathered.told.missing)
        ),
        _ => format!("A pull secret that the pod names is not in namespace {namespace}."),
    }
}

fn misconfigured(gathered: &Gathered) -> String {
    match &gathered.creds {
        Creds::Malformed { .. } => {
            format!(
                "The pod's {}, so that every pull of the pod fails.",
                gathered.creds.told()
            )
        }
        Creds::Unfit { secrets } => match secrets.as_slice() {
            [one] => format!(
                "Pull secret `{}` is of no use for this image: {}.",
                one.secret, one.why
            ),
            all => format!(
                "None of the pod's {} pull secrets is of use for this image: {}.",
                all.len(),
                gathered.creds.told()
            ),
        },
        _ => {
            about(Cause::SecretMisconfigured)
                .title
                .replacen("the pull", "A pull", 1)
                + "."
        }
    }
}

fn auth_missing(gathered: &Gathered, host: &str) -> String {
    match &gathered.creds {
        Creds::Unnamed { later } if !later.is_empty() => format!(
            "{host} wants a login, and the pod has no pull secret; its service account got {} after the pod \
             was made.",
            listed(later)
        ),
        Creds::Unnamed { .. } => format!("{host} wants a login, and the pod has no pull secret."),
        _ => format!("{host} wants a login, and the node sent none."),
    }
}

fn mirror(gathered: &Gathered, host: &str) -> String {
    let from_here = match gathered.seen() {
        Seen::Works => "has it",
        _ => "cannot be reached",
    };
    let name = gathered.mirror_lacks().unwrap_or("this image");
    format!(
        "The node was told that there is no such image, and from here {host} {from_here}: so it was the \
         mirror that said so, which has no {name}."
    )
}

fn expired(gathered: &Gathered, host: &str) -> String {
    let over = gathered
        .creds
        .logins()
        .iter()
        .find(|login| login.freshness.is_over());
    match (over, gathered.creds.first()) {
        (Some(login), _) => format!(
            "{host} refuses the token in pull secret `{}`: {}.",
            login.secret,
            login.freshness.told(gathered.now)
        ),
        (None, Some(login)) => format!(
            "{host} says that the token in pull secret `{}` is past its time.",
            login.secret
        ),
        (None, None) => format!("{host} says that the token is past its time."),
    }
}

/// kubelet says the same of an image that is there, when it was pulled with credentials that this
/// pod does not have (KubeletEnsureSecretPulledImages).
fn never(gathered: &Gathered) -> String {
    match gathered.node.has_image() {
        Some(true) => "The pod forbids a pull (imagePullPolicy: Never). The node lists the image, and kubelet says \
                       that it is not there: it says so too when the image was pulled with credentials that this \
                       pod does not have."
            .to_owned(),
        _ => "The pod forbids a pull (imagePullPolicy: Never), and the node does not have the image."
            .to_owned(),
    }
}

/// What works from here, and what that leaves.
fn from_here(gathered: &Gathered, joined: &Joined) -> String {
    let (Seen::Works, Ok(probed)) = (gathered.seen(), &gathered.probed) else {
        return String::new();
    };
    let how = match &probed.secret {
        Some(secret) => format!("with pull secret `{secret}`"),
        None => "without a credential".to_owned(),
    };
    let plain = probed.facts.route.as_ref().is_some_and(|route| route.plain_http);
    let left = match joined.finding.cause {
        // A blob is whole when it was read and hashed, which only the node did.
        Cause::ContentCorrupt => {
            let layers = match &probed.facts.blobs {
                Some(blobs) if blobs.good == blobs.all => {
                    "the layers have their sizes; whether their bytes are right was not tested"
                }
                _ => "the layers were not read",
            };
            return format!(" From here the manifest and the config can be read {how}; {layers}.");
        }
        Cause::TlsHttpMismatch if plain => "syncd speaks http to this registry, the node does not",
        Cause::TlsUnknownCa => "the node's own trust store was not tested",
        Cause::TlsHostnameMismatch | Cause::DnsFailure => "the node's own resolver was not tested",
        Cause::TlsCertTime => "the node's clock was not tested",
        Cause::NetworkTimeout
        | Cause::NetworkUnreachable
        | Cause::ConnectionRefused
        | Cause::ConnectionReset
        | Cause::ProxyError
        | Cause::TlsHttpMismatch => "the node's own network path was not tested",
        Cause::MirrorFault => "the registry has the image, so it is the mirror on the node that fails",
        Cause::Unknown => "the node's own path was not tested",
        _ if joined.finding.confidence == Confidence::Certain => "only the node sees this",
        _ => {
            "either it was mended since (kubelet tries again within 5 minutes), or the node takes another way: \
             a mirror, its own credential"
        }
    };
    format!(" From here the pull works {how}: {left}.")
}
