//! The one table of all keys: what the walker accepts, what the JSON Schema says, what the
//! reference page tells.

mod credentials;
mod table;

pub(crate) use self::credentials::CREDENTIAL_TARGET;
use self::credentials::{CREDENTIALS, FILE, KUBERNETES, NAMESPACES};
use self::table::{AUTH, BASIC, LIMITS, MIRROR, REGISTRY, TLS};
pub(crate) use self::table::{IMAGE, REGISTRY_ENTRY, ROOT};

/// The `apiVersion` of this program's files.
pub(crate) const API_VERSION: &str = "syncd.dev/v1alpha1";

/// A mapping and the keys it may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// What it is called in messages: the way to it, without indices.
    pub(crate) title: &'static str,
    pub(crate) doc: &'static str,
    /// Keys of which exactly one must be there; empty for none.
    pub(crate) one_of: &'static [&'static str],
    pub(crate) keys: &'static [Key],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Optional; what holds without it.
    Default(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Section(&'static Section),
    List(&'static Kind),
    /// A mapping with any keys, and a text at each.
    Map(Text, Text),
    /// A text, or a mapping that says more.
    Either(Text, &'static Section),
    Text(Text),
    Choice(&'static [&'static str]),
    Bool,
    Integer {
        min: u16,
        max: u16,
    },
}

/// The kinds of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Path,
    /// The path of a file with a secret in it: people put the secret itself here.
    SecretFile,
    Address,
    Host,
    EntryName,
    User,
    Image,
    Source,
    MirrorName,
    Probe,
    Proxy,
    Cron,
    TimeZone,
    Destination,
    Duration,
    DockerConfig,
    /// The name of a Kubernetes secret: some will put the secret itself here.
    SecretName,
    Namespaces,
    LabelKey,
    LabelValue,
    /// The name of a `registries` entry.
    EntryRef,
}

impl Text {
    /// What it is, in a few words.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Path => "a path",
            Self::SecretFile => "the path of a file",
            Self::Address => "an IP address and a port",
            Self::Host => "a registry, as host[:port]",
            Self::EntryName => "a name",
            Self::User => "a user name",
            Self::Image => "an image reference",
            Self::Source => "an image reference, or ociLayout:FOLDER[:TAG|@DIGEST]",
            Self::MirrorName => "a name in the mirror, with a tag",
            Self::Probe => "a repository with a tag or digest, without the host",
            Self::Proxy => "environment, direct, or http://host:port",
            Self::Cron => "five crontab fields",
            Self::TimeZone => "a time zone of the IANA database",
            Self::Destination => "embedded, or host[:port][/path]",
            Self::Duration => "a duration in h, m and s",
            Self::DockerConfig => "the path of a docker config file",
            Self::SecretName => "the name of a secret",
            Self::Namespaces => "a namespace's name, or a pattern",
            Self::LabelKey => "a label's key",
            Self::LabelValue => "a label's value",
            Self::EntryRef => "the name of a `registries` entry",
        }
    }

    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Path => "/etc/syncd/file.pem",
            Self::SecretFile => "/etc/syncd/password",
            Self::Address => "127.0.0.1:5000",
            Self::Host => "harbor.corp.example:8443",
            Self::EntryName => "harbor-team-a",
            Self::User => "robot",
            Self::Image => "docker.io/library/nginx:1.27",
            Self::Source => "ociLayout:./images/hello",
            Self::MirrorName => "docker.io/library/hello:1",
            Self::Probe => "team/app:1.0",
            Self::Proxy => "http://proxy.corp.example:3128",
            Self::Cron => "30 2 * * *",
            Self::TimeZone => "Europe/Berlin",
            Self::Destination => "harbor.corp.example:8443/mirror",
            Self::Duration => "6h",
            Self::DockerConfig => "/root/.docker/config.json",
            Self::SecretName => "syncd-pull",
            Self::Namespaces => "team-*",
            Self::LabelKey => "team.example.com/pull",
            Self::LabelValue => "enabled",
            Self::EntryRef => "harbor-team-a",
        }
    }

    /// Whether a value of this kind may be shown in an excerpt.
    const fn harmless(self) -> bool {
        !matches!(
            self,
            Self::SecretFile | Self::User | Self::SecretName | Self::LabelKey | Self::LabelValue
        )
    }
}

impl Kind {
    /// Whether a text of this kind may be shown in an excerpt.
    pub(crate) const fn harmless(self) -> bool {
        match self {
            Self::Text(text) | Self::Either(text, _) => text.harmless(),
            Self::List(item) => item.harmless(),
            Self::Choice(_) | Self::Bool | Self::Integer { .. } => true,
            Self::Section(_) | Self::Map(..) => false,
        }
    }
}

impl Key {
    /// A value as it may be written.
    pub(crate) fn example(&self) -> String {
        match (self.need, self.kind) {
            (Need::Default(default), _) if !default.contains(' ') => default.to_owned(),
            (_, Kind::Text(Text::Path | Text::SecretFile)) => {
                format!("/etc/syncd/{}", self.name.trim_end_matches("File").to_lowercase())
            }
            (_, Kind::Text(text) | Kind::Either(text, _)) => text.example().to_owned(),
            (_, Kind::Choice(words)) => words.first().copied().unwrap_or_default().to_owned(),
            (_, Kind::Integer { min, .. }) => min.to_string(),
            (_, Kind::Bool) => "true".to_owned(),
            (_, Kind::Section(_) | Kind::List(_) | Kind::Map(..)) => "…".to_owned(),
        }
    }
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key that names a file with a secret.
    pub(crate) fn secret_file(&self) -> Option<&'static Key> {
        self.keys
            .iter()
            .find(|key| key.kind == Kind::Text(Text::SecretFile))
    }
}

/// All sections, in the order of the reference page.
pub(crate) const SECTIONS: [&Section; 14] = [
    &ROOT,
    &REGISTRY_ENTRY,
    &BASIC,
    &LIMITS,
    &CREDENTIALS,
    &CREDENTIAL_TARGET,
    &KUBERNETES,
    &NAMESPACES,
    &FILE,
    &MIRROR,
    &IMAGE,
    &REGISTRY,
    &TLS,
    &AUTH,
];

/// Whether every key of that name has values that may be shown.
pub(crate) fn is_harmless(name: &str) -> bool {
    let mut keys = SECTIONS.iter().filter_map(|section| section.key(name)).peekable();
    keys.peek().is_some() && keys.all(|key| key.kind.harmless())
}
