//! The part of the table below `credentials`.

use super::Need::{Default, Optional, Required};
use super::table::{key, text};
use super::{Kind, Section, Text};

pub(crate) static CREDENTIALS: Section = Section {
    title: "credentials",
    doc: "Which credentials are kept where, and how old they may become.",
    one_of: &[],
    keys: &[
        text(
            "maxAge",
            Text::Duration,
            Optional,
            "The age at which a credential is asked for again at the latest, whatever its own expiry says; at least \
             `5m`. Needed for credentials that do not say when they end.",
        ),
        text(
            "schedule",
            Text::Cron,
            Optional,
            "Times at which all credentials are asked for again, besides, by crontab's rules.",
        ),
        text(
            "timeZone",
            Text::TimeZone,
            Default("UTC"),
            "The time zone of `schedule`.",
        ),
        key(
            "targets",
            Kind::List(&Kind::Section(&CREDENTIAL_TARGET)),
            Required,
            "Where they are kept.",
        ),
    ],
};

pub(crate) static CREDENTIAL_TARGET: Section = Section {
    title: "credentials.targets[]",
    doc: "A place for credentials: a secret of one name in many namespaces, or a file. Exactly one of `kubernetes` \
          and `file` is there.",
    one_of: &["kubernetes", "file"],
    keys: &[
        key(
            "kubernetes",
            Kind::Section(&KUBERNETES),
            Optional,
            "A pull secret (type `kubernetes.io/dockerconfigjson`) in each of the selected namespaces.",
        ),
        key("file", Kind::Section(&FILE), Optional, "A docker `config.json`."),
        key(
            "registries",
            Kind::List(&Kind::Text(Text::EntryRef)),
            Required,
            "Which credentials: names of `registries` entries that have an identity, no two for one host. \
             `\"*\"` alone is all that have one.",
        ),
    ],
};

pub(crate) static KUBERNETES: Section = Section {
    title: "credentials.targets[].kubernetes",
    doc: "A pull secret in each of the selected namespaces.",
    one_of: &[],
    keys: &[
        text("secret", Text::SecretName, Required, "The secret's name."),
        key(
            "namespaces",
            Kind::Section(&NAMESPACES),
            Required,
            "Which namespaces.",
        ),
    ],
};

pub(crate) static NAMESPACES: Section = Section {
    title: "credentials.targets[].kubernetes.namespaces",
    doc: "A namespace is selected when one of `names` fits (or there are none), it has all of `matchLabels`, and none \
          of `exclude` fits. At least one of `names` and `matchLabels` is there. Patterns and labels need the right to \
          list namespaces; names without `*` and `?` do not.",
    one_of: &[],
    keys: &[
        key(
            "names",
            Kind::List(&Kind::Text(Text::Namespaces)),
            Optional,
            "Names, or patterns over them: `*` stands for any run of characters, `?` for one.",
        ),
        key(
            "matchLabels",
            Kind::Map(Text::LabelKey, Text::LabelValue),
            Optional,
            "Labels, all of which a namespace must have.",
        ),
        key(
            "exclude",
            Kind::List(&Kind::Text(Text::Namespaces)),
            Optional,
            "Names and patterns that are never selected.",
        ),
    ],
};

pub(crate) static FILE: Section = Section {
    title: "credentials.targets[].file",
    doc: "A docker `config.json`. What others wrote in it stays.",
    one_of: &[],
    keys: &[text(
        "path",
        Text::DockerConfig,
        Required,
        "The file. It is made (for its owner only) when it is not there, and so is its folder, but not those above.",
    )],
};
