//! The table itself.

use super::Need::{Default, Optional, Required};
use super::credentials::CREDENTIALS;
use super::{API_VERSION, Key, Kind, Need, Section, Text};

pub(super) const fn key(name: &'static str, kind: Kind, need: Need, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        need,
        doc,
    }
}

pub(super) const fn text(name: &'static str, text: Text, need: Need, doc: &'static str) -> Key {
    key(name, Kind::Text(text), need, doc)
}

/// The whole file.
pub(crate) static ROOT: Section = Section {
    title: "",
    doc: "The whole file. Relative paths in it are relative to the folder of the file.",
    one_of: &[],
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
            "credentials",
            Kind::Section(&CREDENTIALS),
            Optional,
            "Which credentials are kept fresh where: pull secrets in namespaces, docker config files.",
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
    one_of: &[],
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

pub(crate) static BASIC: Section = Section {
    title: "registries[].basic",
    doc: "A user name and a password.",
    one_of: &[],
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

pub(crate) static LIMITS: Section = Section {
    title: "registries[].limits",
    doc: "Upper bounds for one registry.",
    one_of: &[],
    keys: &[key(
        "connections",
        Kind::Integer { min: 1, max: 64 },
        Default("16"),
        "Connections at once.",
    )],
};

pub(crate) static MIRROR: Section = Section {
    title: "mirror",
    doc: "What is mirrored, where to, and when.",
    one_of: &[],
    keys: &[
        text(
            "schedule",
            Text::Cron,
            Optional,
            "When a pass starts, by crontab's rules (`30 2 * * *`, or `@daily`). Without it only `syncd sync mirror` \
             starts one. When clocks change, a time that is left out runs at the change, and one that comes twice \
             runs once.",
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
    one_of: &[],
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

pub(crate) static REGISTRY: Section = Section {
    title: "registry",
    doc: "The embedded registry. All but certificates and the htpasswd file needs a restart to change.",
    one_of: &[],
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

pub(crate) static TLS: Section = Section {
    title: "registry.tls",
    doc: "Certificate files; read again when they change.",
    one_of: &[],
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

pub(crate) static AUTH: Section = Section {
    title: "registry.auth",
    doc: "Who may pull and push.",
    one_of: &[],
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
