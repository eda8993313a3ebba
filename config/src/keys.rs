//! The one table of all keys: what the walker accepts, what the JSON Schema says, what the
//! reference page tells.

/// The `apiVersion` of this program's files.
pub(crate) const API_VERSION: &str = "syncd.dev/v1alpha1";

/// A mapping and the keys it may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// What it is called in messages: the way to it, without indices.
    pub(crate) title: &'static str,
    pub(crate) doc: &'static str,
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
        }
    }

    /// Whether a value of this kind may be shown in an excerpt.
    const fn harmless(self) -> bool {
        !matches!(self, Self::SecretFile | Self::User)
    }
}

impl Kind {
    /// Whether a text of this kind may be shown in an excerpt.
    pub(crate) const fn harmless(self) -> bool {
        match self {
            Self::Text(text) | Self::Either(text, _) => text.harmless(),
            Self::List(item) => item.harmless(),
            Self::Choice(_) | Self::Bool | Self::Integer { .. } => true,
            Self::Section(_) => false,
        }
    }
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// All sections, in the order of the reference page.
pub(crate) const SECTIONS: [&Section; 9] = [
    &ROOT,
    &REGISTRY_ENTRY,
    &BASIC,
    &LIMITS,
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

const fn key(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        need,
        doc,
    }
}

const fn text(name: &'static str, text: Text, need: Need, doc: &'static str) -> Key {
    key(name, Kind::Text(text), need, doc)
}

use Need::{Default, Optional, Required};

/// The whole file.
pub(crate) static ROOT: Section = Section {
    title: "",
    doc: "The whole file. Relative paths in it are relative to the folder of the file.",
    keys: &[
        key(
            "apiVersion",
            Kind::Choice(&[API_VERSION]),
            Required,
            "The version of the file's format.",
        ),
        key("kind", Kind::Choice(&["Config"]), Required, "Always `Config`."),
        text(
            "stateDir",
            Text::Path,
            Default("/var/lib/syncd"),
            "The folder of the store, the receipts and the control socket. Changing it needs a restart.",
        ),
        text(
            "listen",
            Text::Address,
            Default("127.0.0.1:8080"),
            "Where the status page, the API and the metrics are served, for reading only. \
             Changing it needs a restart.",
        ),
        key(
            "registries",
            Kind::List(&Kind::Section(&REGISTRY_ENTRY)),
            Optional,
            "Registries that need something said about them. This is the only place that names an identity: \
             a credential goes to its `host` and nowhere else.",
        ),
        key(
            "mirror",
            Kind::Section(&MIRROR),
            Optional,
            "What is copied into a mirror, and when.",
        ),
        key(
            "registry",
            Kind::Section(&REGISTRY),
            Optional,
            "The embedded registry. It runs when this section is there.",
        ),
    ],
};

pub(crate) static REGISTRY_ENTRY: Section = Section {
    title: "registries[]",
    doc: "One registry as one identity sees it.",
    keys: &[
        text(
            "name",
            Text::EntryName,
            Default("the host"),
            "How the rest of the file and reports call this entry. Unique; needed when several entries share a host.",
        ),
        text(
            "host",
            Text::Host,
            Required,
            "The registry as image references name it. Docker Hub is `docker.io`.",
        ),
        key(
            "basic",
            Kind::Section(&BASIC),
            Optional,
            "Log in with a user name and a password.",
        ),
        text(
            "probe",
            Text::Probe,
            Optional,
            "An image at this registry on which a credential is proven.",
        ),
        text(
            "caFile",
            Text::Path,
            Optional,
            "A PEM file of certificate authorities trusted for this host, besides the system's.",
        ),
        key(
            "plainHttp",
            Kind::Bool,
            Default("false"),
            "Speak http to this host: everything, a password too, is readable on the way.",
        ),
        key(
            "trustedTokenHosts",
            Kind::List(&Kind::Text(Text::Host)),
            Optional,
            "Hosts that may get this entry's credential in a token exchange, besides the registry itself.",
        ),
        text(
            "proxy",
            Text::Proxy,
            Default("environment"),
            "How the registry is reached: `environment` (HTTPS_PROXY, HTTP_PROXY and NO_PROXY), \
             `direct`, or the proxy's URL.",
        ),
        key(
            "limits",
            Kind::Section(&LIMITS),
            Optional,
            "How hard the registry may be used.",
        ),
    ],
};

static BASIC: Section = Section {
    title: "registries[].basic",
    doc: "A user name and a password.",
    keys: &[
        text("username", Text::User, Required, "The user name."),
        text(
            "passwordFile",
            Text::SecretFile,
            Required,
            "The file that holds the password; a final line break is not part of it. Read again when it changes.",
        ),
    ],
};

static LIMITS: Section = Section {
    title: "registries[].limits",
    doc: "Upper bounds for one registry.",
    keys: &[key(
        "connections",
        Kind::Integer { min: 1, max: 64 },
        Default("16"),
        "Connections at once.",
    )],
};

static MIRROR: Section = Section {
    title: "mirror",
    doc: "What is mirrored, where to, and when.",
    keys: &[
        text(
            "schedule",
            Text::Cron,
            Optional,
            "When a pass starts, by crontab's rules (`30 2 * * *`, or `@daily`). Without it only `syncd sync mirror` \
             starts one.",
        ),
        text(
            "timeZone",
            Text::TimeZone,
            Default("UTC"),
            "The time zone of `schedule`.",
        ),
        text(
            "destination",
            Text::Destination,
            Default("embedded"),
            "`embedded` (the registry of the `registry` section), or another registry with an optional path in front \
             of every name.",
        ),
        key(
            "images",
            Kind::List(&Kind::Either(Text::Image, &IMAGE)),
            Required,
            "The images: a reference, or a mapping.",
        ),
    ],
};

pub(crate) static IMAGE: Section = Section {
    title: "mirror.images[]",
    doc: "One image, in the long form.",
    keys: &[
        text(
            "source",
            Text::Source,
            Required,
            "An image reference, or an image in a folder with an OCI image layout: `ociLayout:FOLDER`, with `:TAG` or \
             `@DIGEST` when the folder holds several.",
        ),
        text(
            "as",
            Text::MirrorName,
            Optional,
            "What the image is called in the mirror. With a host it is mapped like that image; without (`hello:1`) it \
             is that very name. Needed for `ociLayout`; an image of a registry keeps its own name.",
        ),
    ],
};

static REGISTRY: Section = Section {
    title: "registry",
    doc: "The embedded registry. All but certificates and the htpasswd file needs a restart to change.",
    keys: &[
        text(
            "listen",
            Text::Address,
            Default("127.0.0.1:5000"),
            "Where it listens.",
        ),
        key(
            "names",
            Kind::List(&Kind::Text(Text::Host)),
            Optional,
            "What clients call it, besides `listen`.",
        ),
        key(
            "tls",
            Kind::Section(&TLS),
            Optional,
            "Serve https. Without it the registry speaks http.",
        ),
        key("auth", Kind::Section(&AUTH), Optional, "Who may pull and push."),
    ],
};

static TLS: Section = Section {
    title: "registry.tls",
    doc: "Certificate files; read again when they change.",
    keys: &[
        text(
            "certFile",
            Text::Path,
            Required,
            "The certificate and its chain, in PEM.",
        ),
        text("keyFile", Text::SecretFile, Required, "The private key, in PEM."),
        text(
            "clientCaFile",
            Text::Path,
            Optional,
            "Authorities whose client certificates log a node in, to pull.",
        ),
    ],
};

static AUTH: Section = Section {
    title: "registry.auth",
    doc: "Who may pull and push.",
    keys: &[
        text(
            "htpasswdFile",
            Text::SecretFile,
            Optional,
            "Users, as lines `user:bcrypt` (`htpasswd -B`). Read again when it changes.",
        ),
        key(
            "anonymousPull",
            Kind::Choice(&["public", "all", "none"]),
            Default("public"),
            "What is served without a login: `public` (repositories whose last copy needed no credential at the \
             source), `all`, or `none`.",
        ),
        key(
            "push",
            Kind::List(&Kind::Text(Text::User)),
            Optional,
            "Users of `htpasswdFile` that may push.",
        ),
    ],
};
