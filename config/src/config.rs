//! What the rest of the program gets: a configuration in which every value was checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::glob::Glob;
use crate::host::RegistryHost;
use crate::reference::{Reference, Repository, Tag};

/// A whole configuration. Paths are absolute or relative to the working directory:
/// relative ones in the file were joined to the file's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where syncd keeps its store, receipts and socket.
    pub state_dir: PathBuf,
    /// Status page, API and metrics: reading only.
    pub listen: SocketAddr,
    /// Registries that need something said about them.
    pub registries: Vec<RegistryEntry>,
    /// Which credentials are kept where.
    pub credentials: Option<Credentials>,
    /// What to mirror, and where to.
    pub mirror: Option<Mirror>,
    /// The embedded registry.
    pub registry: Option<EmbeddedRegistry>,
}

/// One registry as one identity sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryEntry {
    /// Unique; the host unless several identities share one.
    pub name: String,
    /// The registry. A credential of this entry goes to it and nowhere else.
    pub host: RegistryHost,
    /// Who we are there; `None` is anonymous.
    pub identity: Option<Identity>,
    /// The image on which a credential is proven.
    pub probe: Option<Probe>,
    /// A PEM file of CAs trusted for this host, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Speak http to this host (never to another one it names).
    pub plain_http: bool,
    /// Hosts that may get this registry's credential in a token exchange, besides its own.
    pub trusted_token_hosts: Vec<RegistryHost>,
    /// How to reach it.
    pub proxy: Proxy,
    /// How hard to use it.
    pub limits: Limits,
}

/// The way a credential is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A user with a password in a file; the file is read again when it changes.
    Basic {
        /// The user.
        username: String,
        /// The file; a final line break is not part of the password.
        password_file: PathBuf,
    },
}

/// A repository and tag or digest at the entry's own host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The repository.
    pub repository: Repository,
    /// The tag or digest.
    pub target: crate::reference::Target,
}

/// How a registry is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// By `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as they stand in the environment.
    #[default]
    Environment,
    /// Never by a proxy.
    Direct,
    /// By this one (`http://host:port`; a credential in it is refused).
    Url(url::Url),
}

/// Upper bounds for one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; 1 to 64, 16 by default.
    pub connections: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 16 }
    }
}

/// Which credentials are kept where, and how old they may become.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// A credential is minted again at this age at the latest, whatever its own expiry says.
    pub max_age: Option<Duration>,
    /// Times at which all are minted again, besides.
    pub schedule: Option<Schedule>,
    /// Where they are kept.
    pub targets: Vec<CredentialTarget>,
}

/// One place (or many alike) where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialTarget {
    /// Where.
    pub place: TargetPlace,
    /// The names of `registries` entries, each with an identity, no two for one host; `*` was
    /// replaced by all of them. In the order of `registries`.
    pub registries: Vec<String>,
}

/// Where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPlace {
    /// A secret of type `kubernetes.io/dockerconfigjson` in each of the selected namespaces.
    Kubernetes(KubernetesTarget),
    /// A docker `config.json`.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// A secret of one name in the selected namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesTarget {
    /// The secret's name (RFC 1123 subdomain).
    pub secret: String,
    /// Where.
    pub namespaces: NamespaceSelector,
}

/// A namespace is selected when one of `names` fits (or there are none), it has all of
/// `match_labels`, and none of `exclude` fits. One of `names` and `match_labels` is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceSelector {
    /// Patterns over names.
    pub names: Vec<Glob>,
    /// Labels, all of which it must have.
    pub match_labels: BTreeMap<String, String>,
    /// Patterns over names that are never selected.
    pub exclude: Vec<Glob>,
}

impl NamespaceSelector {
    /// Whether a namespace is selected.
    #[must_use]
    pub fn selects(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        (self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name)))
            && !self.exclude.iter().any(|glob| glob.matches(name))
            && self
                .match_labels
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// The selected names, when they are known without asking for the cluster's namespaces.
    #[must_use]
    pub fn literal(&self) -> Option<Vec<&str>> {
        let literal =
            !self.names.is_empty() && self.match_labels.is_empty() && self.names.iter().all(Glob::is_literal);
        literal.then(|| {
            let names = self.names.iter().map(Glob::as_str);
            names
                .filter(|name| self.selects(name, &BTreeMap::new()))
                .collect()
        })
    }
}

/// What is mirrored, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// When; by hand only if `None`.
    pub schedule: Option<Schedule>,
    /// Where to.
    pub destination: Destination,
    /// What.
    pub images: Vec<ImageRule>,
}

/// Times of crontab in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The times.
    pub cron: crate::cron::Cron,
    /// The time zone it is read in; UTC by default.
    pub time_zone: jiff::tz::TimeZone,
}

/// Where the mirror writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The store of this process's own registry.
    Embedded,
    /// Another registry, with an optional path in front of every name.
    Registry {
        /// Its host.
        host: RegistryHost,
        /// The path in front of names, without slashes at its ends.
        prefix: Option<Repository>,
    },
}

/// One entry of `mirror.images`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRule {
    /// Where it comes from.
    pub source: Source,
    /// What it is called in the mirror; for a registry image `None` keeps its own name.
    pub name: Option<MirrorName>,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A registry.
    Registry(Reference),
    /// A folder with an OCI image layout. Without `pick` it must hold exactly one image.
    OciLayout {
        /// The folder.
        path: PathBuf,
        /// Which image of the folder.
        pick: Option<crate::reference::Target>,
    },
}

/// The `as` of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorName {
    /// Mapped like the image of that reference.
    Like(Reference),
    /// Literally this repository and tag in the mirror.
    Literal(Repository, Tag),
}

/// The embedded registry.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedRegistry {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What clients call it, besides `listen`.
    pub names: Vec<RegistryHost>,
    /// TLS; plain http when `None`.
    pub tls: Option<ServerTls>,
    /// Who may read and write.
    pub auth: RegistryAuth,
}

/// A server's certificate files, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM certificate chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// CAs whose client certificates log a node in (to pull).
    pub client_ca_file: Option<PathBuf>,
}

/// Who may read and write the embedded registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAuth {
    /// `user:bcrypt` lines, read again when they change.
    pub htpasswd_file: Option<PathBuf>,
    /// What is served without a login.
    pub anonymous_pull: AnonymousPull,
    /// Users of `htpasswd_file` that may push.
    pub push: Vec<String>,
}

/// What is served without a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnonymousPull {
    /// Repositories whose last copy needed no credential at its source.
    #[default]
    Public,
    /// Everything.
    All,
    /// Nothing.
    None,
}
