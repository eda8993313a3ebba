//! What a diagnosis saw, step by step, as plain values: the probe writes them, the checks read
//! them, and nothing in here can hold a secret.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use syncd_config::reference::ReferenceError;
use syncd_config::{Platform, Reference, RegistryHost};

use crate::oci::{ErrorKind, RegistryError};

/// Everything that was seen. `None` means "not looked at": an earlier step had failed, or the
/// step does not apply.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The text that was asked about, made safe to show.
    pub(crate) asked: String,
    /// What it means.
    pub(crate) reference: Result<Reference, ReferenceError>,
    /// The platform a node would choose for.
    pub(crate) platform: Platform,
    /// How the registry is reached.
    pub(crate) route: Option<Route>,
    /// The addresses of the registry (or of the proxy).
    pub(crate) names: Option<Result<Vec<IpAddr>, Fault>>,
    /// One entry for each address that was tried.
    pub(crate) connects: Vec<Connect>,
    /// The TLS handshake.
    pub(crate) handshake: Option<Result<Handshake, Fault>>,
    /// What `/v2/` says to somebody without a credential.
    pub(crate) api: Option<Result<Api, Fault>>,
    /// Whether the login works.
    pub(crate) login: Option<Result<(), Fault>>,
    /// The manifest of the tag or digest.
    pub(crate) manifest: Option<Result<ManifestFacts, Fault>>,
    /// The repository's tags; asked for only when the manifest is not there.
    pub(crate) tags: Option<Result<Tags, Fault>>,
    /// Repositories that are known to be at this registry, for "did you mean".
    pub(crate) neighbours: Vec<String>,
    /// The image chosen for the platform.
    pub(crate) image: Option<Result<ImageFacts, Fault>>,
    /// The blobs that were touched.
    pub(crate) blobs: Option<Blobs>,
    /// The mirror of the configuration.
    pub(crate) mirror: MirrorFacts,
}

/// How the registry is reached.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The registry of the reference.
    pub(crate) host: RegistryHost,
    /// Where its API lives: `registry-1.docker.io`, `127.0.0.1`, `::1`.
    pub(crate) name: String,
    /// The port there.
    pub(crate) port: u16,
    /// http instead of https.
    pub(crate) plain_http: bool,
    /// Whether that is because nodes fall back to it on the loopback, and not because the
    /// configuration says so.
    pub(crate) fallback: bool,
    /// The proxy in between, as `host:port`.
    pub(crate) proxy: Option<String>,
    /// Whose credential is used, if any.
    pub(crate) identity: Option<Identity>,
    /// Whether a `caFile` adds to the trusted CAs.
    pub(crate) extra_ca: bool,
    /// Whether this is the registry embedded in this configuration's own daemon.
    pub(crate) own: bool,
    /// Where the embedded registry of this configuration listens.
    pub(crate) embedded: Option<SocketAddr>,
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A `registries` entry of the configuration, by its name.
    Entry(String),
    /// A pull secret of the pod, by its name.
    PullSecret(String),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(f, "registries entry `{name}`"),
            Self::PullSecret(name) => write!(f, "pull secret `{name}`"),
        }
    }
}

/// A failure as plain values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The closed class.
    pub(crate) kind: ErrorKind,
    /// Where it happened: the host that failed, not the one asked first.
    pub(crate) place: String,
    /// What was tried, as in "failed to …".
    pub(crate) operation: String,
    /// The HTTP status.
    pub(crate) status: Option<u16>,
    /// The deciding words: the registry's own, else the chain of causes.
    pub(crate) words: String,
    /// How long the registry asked to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// One try to connect.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    /// Where to.
    pub(crate) address: SocketAddr,
    /// How it went.
    pub(crate) outcome: Result<(), Fault>,
}

/// A TLS handshake that went well.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    /// `TLS 1.3`.
    pub(crate) version: String,
}

/// An answer of `/v2/` that a registry may give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Api {
    /// 200, 401, 403 or 404.
    pub(crate) status: u16,
    /// The schemes of its challenges: `Basic`, `Bearer`.
    pub(crate) schemes: Vec<String>,
}

/// The manifest that the tag or digest names.
#[derive(Clone, Debug)]
pub(crate) struct ManifestFacts {
    /// Its digest.
    pub(crate) digest: String,
    /// Its platforms, when it is an index; `None` for a single image.
    pub(crate) platforms: Option<Vec<Platform>>,
    /// Whether HEAD failed although GET works.
    pub(crate) head_failed: Option<Fault>,
}

/// A repository's tags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags {
    /// The names, as many as one answer held.
    pub(crate) names: Vec<String>,
}

/// The image that a node of the platform would run.
#[derive(Clone, Debug)]
pub(crate) struct ImageFacts {
    /// The platform that was chosen from the index, or that its config names.
    pub(crate) platform: Option<Platform>,
    /// Whether that is the platform asked for, or one a node takes in its place.
    pub(crate) fits: Fits,
}

/// How well an image fits a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fits {
    /// It is the platform.
    Exactly,
    /// A node takes it when there is nothing better (`linux/386` on amd64).
    Instead,
    /// No.
    No,
    /// It names none (an artifact).
    Unknown,
}

/// The blobs that were touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blobs {
    /// How many were found well.
    pub(crate) good: usize,
    /// How many the image has.
    pub(crate) all: usize,
    /// The first bad one: what it is, and what went wrong.
    pub(crate) bad: Option<(String, Fault)>,
}

/// What the configured mirror knows of the image.
#[derive(Clone, Debug)]
pub(crate) enum MirrorFacts {
    /// Not looked at, and why.
    NotAsked(String),
    /// The image names the mirror itself.
    Itself,
    /// It is there, complete.
    Present {
        /// Its name there.
        name: String,
        /// Its digest there.
        digest: String,
    },
    /// It is not there.
    Missing {
        /// The name it would have.
        name: String,
        /// Whether `mirror.images` lists it.
        listed: bool,
    },
    /// It is there and not whole.
    Damaged {
        /// Its name there.
        name: String,
        /// What is wrong.
        words: String,
    },
    /// The mirror could not be asked.
    Failed {
        /// The name it would have.
        name: String,
        /// Why.
        fault: Fault,
    },
}

impl Facts {
    /// Nothing but the question.
    pub(crate) fn new(asked: &str, platform: Platform) -> Self {
        Self {
            asked: syncd_config::text::clean(asked),
            reference: asked.trim().parse(),
            platform,
            route: None,
            names: None,
            connects: Vec::new(),
            handshake: None,
            api: None,
            login: None,
            manifest: None,
            tags: None,
            neighbours: Vec::new(),
            image: None,
            blobs: None,
            mirror: MirrorFacts::NotAsked("the image was not reached".to_owned()),
        }
    }

    /// Whether requests went out without a credential.
    pub(crate) fn anonymous(&self) -> bool {
        self.route.as_ref().is_none_or(|route| route.identity.is_none())
    }

    /// Whether the registry let somebody without a credential in at `/v2/`.
    pub(crate) fn open(&self) -> bool {
        matches!(&self.api, Some(Ok(api)) if api.status == 200)
    }
}

impl Route {
    /// `host:port` of what is connected to first: the proxy, else the registry.
    pub(crate) fn first_hop(&self) -> String {
        self.proxy.clone().unwrap_or_else(|| self.authority())
    }

    /// `host:port` of the registry's API.
    pub(crate) fn authority(&self) -> String {
        if self.name.contains(':') {
            format!("[{}]:{}", self.name, self.port)
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }

    /// The identity, for people.
    pub(crate) fn identity(&self) -> String {
        match &self.identity {
            Some(identity) => format!("the credential of {identity}"),
            None => "no credential".to_owned(),
        }
    }
}

impl Fault {
    /// A failure of our own network steps.
    pub(crate) fn new(kind: ErrorKind, place: &str, operation: &str, words: &str) -> Self {
        Self {
            kind,
            place: place.to_owned(),
            operation: operation.to_owned(),
            status: None,
            words: syncd_config::text::clean(words),
            retry_after: None,
        }
    }

    /// The deciding words with the status in front: `404 MANIFEST_UNKNOWN: …`.
    pub(crate) fn evidence(&self) -> String {
        match (self.status, self.words.as_str()) {
            (Some(status), "") => format!("HTTP status {status}"),
            (Some(status), words) if words.starts_with(&format!("HTTP {status}")) => words.to_owned(),
            (Some(status), words) => format!("{status} {words}"),
            (None, "") => format!("failed to {}", self.operation),
            (None, words) => words.to_owned(),
        }
    }

    /// Whether the words name one of the registry's own error codes (`MANIFEST_UNKNOWN`).
    pub(crate) fn names_code(&self, code: &str) -> bool {
        self.words
            .split(|c: char| !c.is_ascii_uppercase() && c != '_')
            .any(|word| word == code)
    }

    /// Whether the words hold an error code of the registry protocol at all.
    pub(crate) fn has_code(&self) -> bool {
        const CODES: &[&str] = &[
            "DENIED",
            "UNAUTHORIZED",
            "UNSUPPORTED",
            "MANIFEST_UNKNOWN",
            "NAME_UNKNOWN",
            "NAME_INVALID",
            "MANIFEST_INVALID",
            "BLOB_UNKNOWN",
            "TOOMANYREQUESTS",
            "PROJECTPOLICYVIOLATION",
        ];
        CODES.iter().any(|code| self.names_code(code))
    }
}

impl From<&RegistryError> for Fault {
    fn from(error: &RegistryError) -> Self {
        let words = if error.detail.is_empty() {
            chain(error)
        } else {
            error.detail.clone()
        };
        Self {
            kind: error.kind,
            place: error.place.clone(),
            operation: error.operation.clone(),
            status: error.status,
            words: syncd_config::text::clean(&words),
            retry_after: error.retry_after,
        }
    }
}

/// The causes below an error in one line, without repeats.
fn chain(error: &RegistryError) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    parts.join(": ")
}
