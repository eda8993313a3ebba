//! What goes wrong, and what is to be said about it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use syncd::report::Cause;
use syncd::report::Confidence::{self, Certain, Likely};
use syncd_integration::secrets::unique;

use crate::world::{USER, World};

/// One pod that cannot start.
pub(crate) struct Scenario {
    /// In a few words; also the name of its namespace.
    pub(crate) name: &'static str,
    /// The image of its container.
    pub(crate) image: String,
    /// Its `imagePullPolicy`.
    pub(crate) policy: &'static str,
    /// Its `imagePullSecrets`.
    pub(crate) named: Vec<&'static str>,
    /// Secrets, in its namespace unless they say otherwise.
    pub(crate) secrets: Vec<Given>,
    /// What may be said: the first is right; the others, if any, are as much as
    /// text and registry show, and must not be called certain.
    pub(crate) causes: &'static [Cause],
    /// How sure syncd is to be of the first.
    pub(crate) least: Confidence,
}

/// A secret.
pub(crate) struct Given {
    pub(crate) name: &'static str,
    /// `None`: the scenario's own.
    pub(crate) namespace: Option<&'static str>,
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
    pub(crate) annotations: BTreeMap<String, String>,
    /// What must not be printed.
    pub(crate) secret: String,
}

const DOCKER_CONFIG: &str = "kubernetes.io/dockerconfigjson";

impl Given {
    /// A pull secret for `host`.
    fn pull(name: &'static str, host: &str, password: &str) -> Self {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        let auths = json!({ "auths": { host: { "auth": auth } } });
        Self {
            name,
            namespace: None,
            kind: DOCKER_CONFIG,
            data: json!({ ".dockerconfigjson": auths.to_string() }),
            annotations: BTreeMap::new(),
            secret: password.to_owned(),
        }
    }
}

fn scenario(name: &'static str, image: String, cause: &'static [Cause], least: Confidence) -> Scenario {
    Scenario {
        name,
        image,
        policy: "Always",
        named: Vec::new(),
        secrets: Vec::new(),
        causes: cause,
        least,
    }
}

impl Scenario {
    fn with(mut self, secret: Given) -> Self {
        self.named.push(secret.name);
        self.secrets.push(secret);
        self
    }
}

/// All of them.
pub(crate) fn all(world: &World) -> Vec<Scenario> {
    let mut all = content(world);
    all.extend(credentials(world));
    all.extend(expired(world));
    all.extend(ways(world));
    all.extend(registries(world));
    all
}

/// What exists, and what the node does by itself.
fn content(world: &World) -> Vec<Scenario> {
    let open = |name: &str| world.open.image(name);
    let mut never = scenario("policy-never", open("app:1"), &[Cause::ImageNeverPull], Certain);
    never.policy = "Never";
    vec![
        scenario("missing-tag", open("app:2"), &[Cause::TagNotFound], Likely),
        scenario("missing-repository", open("ap:1"), &[Cause::RepoNotFound], Likely),
        scenario(
            "other-platform",
            open("elsewhere:1"),
            &[Cause::PlatformMismatch],
            Certain,
        ),
        scenario(
            "damaged-blob",
            open("damaged:1"),
            &[Cause::ContentCorrupt],
            Likely,
        ),
        scenario(
            "truncated-blob",
            open("truncated:1"),
            &[Cause::ContentCorrupt],
            Likely,
        ),
        never,
        scenario("invalid-name", open("App:1"), &[Cause::InvalidReference], Certain),
        scenario(
            "mirror-lacks-it",
            format!("{}/team/app:1", world.upstream),
            &[Cause::MirrorFault],
            Likely,
        ),
    ]
}

/// What is wrong with the pod's secrets.
fn credentials(world: &World) -> Vec<Scenario> {
    let host = world.login.host();
    let private = || world.login.image("team/private:1");
    let bearer = || world.bearer.image("team/private:1");
    let right = world.password.as_str();
    let pull = |host: &str, password: &str| Given::pull("pull", host, password);

    let other_port = host.replace("127.0.0.1:", "127.0.0.1:1");
    let mut opaque = pull(&host, right);
    opaque.kind = "Opaque";
    let mut elsewhere = pull(&host, right);
    elsewhere.namespace = Some("elsewhere");
    // Valid JSON, which the API server checks, and no docker config.
    let mut malformed = pull(&host, right);
    let canary = unique("malformed");
    let auths = json!({ "auths": { &host: { "auth": canary } } });
    malformed.data = json!({ ".dockerconfigjson": auths.to_string() });
    malformed.secret = canary;
    vec![
        scenario("no-secret", private(), &[Cause::AuthMissing], Likely),
        scenario("no-secret-bearer", bearer(), &[Cause::AuthMissing], Likely),
        scenario(
            "wrong-password",
            private(),
            &[Cause::AuthWrongCredentials],
            Likely,
        )
        .with(pull(&host, &unique("wrong"))),
        scenario(
            "wrong-password-bearer",
            bearer(),
            &[Cause::AuthWrongCredentials],
            Likely,
        )
        .with(pull(&world.bearer.host(), &unique("wrong"))),
        scenario("other-host-key", private(), &[Cause::SecretMisconfigured], Likely)
            .with(pull(&other_port, right)),
        scenario(
            "wrong-secret-type",
            private(),
            &[Cause::SecretMisconfigured],
            Likely,
        )
        .with(opaque),
        scenario("secret-elsewhere", private(), &[Cause::SecretMissing], Likely).with(elsewhere),
        scenario(
            "malformed-secret",
            private(),
            &[Cause::SecretMisconfigured],
            Likely,
        )
        .with(malformed),
    ]
}

/// Passwords past their time.
fn expired(world: &World) -> Vec<Scenario> {
    let host = world.expiring.host();
    let image = || world.expiring.image("team/app:1");
    let mut annotated = Given::pull("syncd-pull", &host, &unique("opaque"));
    let times = json!({ &host: {
        "minted": "2026-01-01T00:00:00Z", "expires": "2026-01-01T12:00:00Z", "proven": "2026-01-01T00:00:00Z",
    } });
    annotated
        .annotations
        .insert("syncd.dev/registries".to_owned(), times.to_string());
    let token = Given::pull("ci-token", &host, &world.expired_password());
    vec![
        // The password itself says nothing; what syncd noted of it does.
        scenario(
            "expired-by-annotation",
            image(),
            &[Cause::AuthTokenExpired],
            Likely,
        )
        .with(annotated),
        scenario(
            "expired-by-its-claims",
            image(),
            &[Cause::AuthTokenExpired],
            Likely,
        )
        .with(token),
    ]
}

/// The way to the registry.
fn ways(world: &World) -> Vec<Scenario> {
    let at = |host: &str| format!("{host}/app:1");
    vec![
        scenario(
            "unknown-ca",
            at(&world.unknown_ca.host()),
            &[Cause::TlsUnknownCa],
            Likely,
        ),
        scenario(
            "other-name-in-cert",
            at(&world.wrong_name.host()),
            &[Cause::TlsHostnameMismatch],
            Likely,
        ),
        scenario(
            "https-to-plain",
            at(&world.plain_by_https()),
            &[Cause::TlsHttpMismatch],
            Likely,
        ),
        scenario(
            "http-to-tls",
            at(&world.tls_by_http()),
            &[Cause::TlsHttpMismatch],
            Likely,
        ),
        scenario(
            "refused-port",
            at(&world.refused),
            &[Cause::ConnectionRefused],
            Likely,
        ),
        scenario(
            "no-such-name",
            at("registry.invalid:5000"),
            &[Cause::DnsFailure],
            Likely,
        ),
        scenario(
            "silent-host",
            at(&world.silent()),
            &[Cause::NetworkTimeout],
            Likely,
        ),
    ]
}

/// What the registry does.
fn registries(world: &World) -> Vec<Scenario> {
    let flaw = |name: &str| world.flaws.image(&format!("{name}:1"));
    let bearer = |name: &str| world.bearer.image(&format!("{name}:1"));
    let secret = || Given::pull("pull", &world.bearer.host(), &world.password);
    vec![
        scenario("429-on-manifest", flaw("limited"), &[Cause::RateLimited], Likely),
        scenario(
            "429-on-layer",
            flaw("limited-layers"),
            &[Cause::RateLimited],
            Likely,
        ),
        scenario("403", bearer("team/denied"), &[Cause::PermissionDenied], Likely).with(secret()),
        // Nobody logged in: whether a login would help is what the registry does not say.
        scenario(
            "403-to-nobody",
            flaw("denied"),
            &[Cause::AuthMissing, Cause::PermissionDenied],
            Likely,
        ),
        scenario("500", flaw("broken"), &[Cause::RegistryError], Likely),
        scenario(
            "token-403",
            bearer("team/forbidden"),
            &[Cause::PermissionDenied],
            Likely,
        )
        .with(secret()),
        scenario(
            "token-503",
            bearer("team/token-down"),
            &[Cause::RegistryError],
            Likely,
        )
        .with(secret()),
        // The node sees only that the connection ends, again and again.
        scenario(
            "cut-short-blob",
            flaw("cut-short"),
            &[Cause::ConnectionReset, Cause::ContentCorrupt],
            Likely,
        ),
    ]
}
