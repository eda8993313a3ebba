//! Asks the registry as the node would for the pod: with the credential that kubelet tries first,
//! and with the next ones only when that one is refused.

use std::sync::Arc;
use std::time::Duration;

use syncd_config::config::RegistryEntry;
use syncd_config::{Reference, RegistryHost};
use syncd_providers::Clock;
use tokio::time::Instant;

use super::join::Seen;
use crate::diagnose::checks::examine;
use crate::diagnose::facts::{Facts, Fault, MirrorFacts};
use crate::diagnose::faults::Finding;
use crate::diagnose::probe::{Who, look_as};
use crate::diagnose::{DiagnoseContext, DiagnoseOptions};
use crate::oci::auth::{Anonymous, Credential};
use crate::oci::{ErrorKind, RegistryClient, RegistryError};
use crate::report::Cause;

/// Credentials that are tried, at most.
const TRIED: usize = 3;

/// A credential to ask with, and the secret that it is from.
pub(super) struct AsSecret {
    pub(super) secret: String,
    pub(super) credential: Credential,
}

/// What came of it.
pub(super) struct Probed {
    pub(super) facts: Facts,
    pub(super) seen: Seen,
    /// The secret whose credential gave this answer.
    pub(super) secret: Option<String>,
    /// Secrets whose credential was refused before.
    pub(super) refused: Vec<String>,
}

/// Asks for `image`; without credentials, as nobody.
pub(super) async fn probe(
    (context, clock): (&DiagnoseContext, &Clock),
    image: &Reference,
    credentials: &[AsSecret],
    options: &DiagnoseOptions,
) -> Result<Probed, RegistryError> {
    let end = Instant::now() + options.deadline;
    let mut tries = credentials.iter().take(TRIED).map(Some).collect::<Vec<_>>();
    if tries.is_empty() {
        tries.push(None);
    }
    let mut first: Option<Probed> = None;
    let mut refused = Vec::new();
    for (n, one) in tries.into_iter().enumerate() {
        let options = DiagnoseOptions {
            deadline: end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1)),
            ..options.clone()
        };
        let (facts, seen) = once((context, clock), image, one, &options, n == 0).await?;
        let secret = one.map(|one| one.secret.clone());
        let probed = Probed {
            facts,
            seen,
            secret: secret.clone(),
            refused: Vec::new(),
        };
        if !matches!(probed.seen, Seen::Refused(_)) {
            let mirror = first.map(|first| first.facts.mirror);
            return Ok(answered(probed, mirror, refused));
        }
        refused.extend(secret);
        first.get_or_insert(probed);
    }
    // All were refused: the first speaks for all, as its refusal is what kubelet met first.
    match first {
        Some(probed) => Ok(answered(probed, None, Vec::new())),
        None => Err(RegistryError::new(
            ErrorKind::Canceled,
            image.host.as_str(),
            "ask the registry",
        )),
    }
}

/// The mirror was asked in the first try only.
fn answered(mut probed: Probed, mirror: Option<MirrorFacts>, refused: Vec<String>) -> Probed {
    if let Some(mirror) = mirror {
        probed.facts.mirror = mirror;
    }
    probed.refused = refused;
    probed
}

/// One try. As containerd does, a loopback registry that answers in plain http is asked again so
/// (core/remotes/docker/config, `http fallback`); no other host ever gets a credential that way.
async fn once(
    (context, clock): (&DiagnoseContext, &Clock),
    image: &Reference,
    one: Option<&AsSecret>,
    options: &DiagnoseOptions,
    mirror: bool,
) -> Result<(Facts, Seen), RegistryError> {
    let (facts, seen) = ask(context, &context.client, image, one, options, (mirror, false)).await?;
    let http = matches!(&seen, Seen::Unreached(found) if found.cause == Cause::TlsHttpMismatch);
    let configured = (context.config.as_ref())
        .is_some_and(|config| config.registries.iter().any(|entry| entry.host == image.host));
    if !http || configured || !is_loopback(&image.host) {
        return Ok((facts, seen));
    }
    let plain = RegistryClient::new(&[plain(&image.host)], Arc::new(Anonymous), clock.clone())?;
    let known = facts.mirror;
    let (mut facts, seen) = ask(context, &plain, image, one, options, (false, true)).await?;
    facts.mirror = known;
    Ok((facts, seen))
}

async fn ask(
    context: &DiagnoseContext,
    client: &RegistryClient,
    image: &Reference,
    one: Option<&AsSecret>,
    options: &DiagnoseOptions,
    (mirror, fallback): (bool, bool),
) -> Result<(Facts, Seen), RegistryError> {
    let credential = one.map(|one| one.credential.clone());
    let who = Who::Node {
        client: client.with_only(None, &image.host, credential)?,
        secret: one.map(|one| one.secret.clone()),
        fallback,
    };
    let facts = look_as(context, &image.to_string(), options, &who, mirror).await;
    let seen = classify(&facts, examine(&facts).found);
    Ok((facts, seen))
}

/// A host without a configuration, in plain http.
fn plain(host: &RegistryHost) -> RegistryEntry {
    RegistryEntry {
        name: host.to_string(),
        host: host.clone(),
        identity: None,
        probe: None,
        ca_file: None,
        plain_http: true,
        trusted_token_hosts: Vec::new(),
        proxy: syncd_config::config::Proxy::Direct,
        limits: syncd_config::config::Limits::default(),
    }
}

fn is_loopback(host: &RegistryHost) -> bool {
    let name = host.name().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What an answer says about rights and existence.
pub(super) fn classify(facts: &Facts, found: Option<Finding>) -> Seen {
    let Some(found) = found else {
        return Seen::Works;
    };
    match found.cause {
        Cause::AuthMissing => Seen::WantsLogin(found),
        Cause::RepoNotFound | Cause::TagNotFound if is_not_found(facts) => Seen::Missing(found),
        // A registry that hides what is missing from those that it does not know.
        Cause::RepoNotFound | Cause::TagNotFound => Seen::WantsLogin(found),
        Cause::AuthWrongCredentials | Cause::AuthTokenExpired => Seen::Refused(found),
        Cause::PermissionDenied => Seen::Denied(found),
        Cause::BlockedByPolicy => Seen::Blocked(found),
        Cause::PlatformMismatch
        | Cause::UnsupportedManifest
        | Cause::RateLimited
        | Cause::RegistryError
        | Cause::ContentCorrupt
        | Cause::MirrorFault => Seen::Fails(found),
        _ => Seen::Unreached(found),
    }
}

fn is_not_found(facts: &Facts) -> bool {
    let fault: Option<&Fault> = facts
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.as_ref().err());
    fault.is_some_and(|fault| fault.kind.is_not_found())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_the_loopback_is_asked_in_plain_http() {
        for (host, loopback) in [
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("localhost:5000", true),
            ("[::1]:5000", true),
            ("10.0.0.1:5000", false),
            ("0.0.0.0:5000", false),
            ("localhost.example:5000", false),
            ("127.0.0.1.example", false),
            ("reg.example", false),
            ("docker.io", false),
        ] {
            assert_eq!(is_loopback(&host.parse().unwrap()), loopback, "{host}");
        }
    }
}
