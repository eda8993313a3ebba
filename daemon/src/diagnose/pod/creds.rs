//! The pod's pull secrets as kubelet would use them for its image, without their contents.

use syncd_config::text::clean_to;

use super::freshness::Freshness;

/// What the secrets come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Creds {
    /// The pod names none. `later`: those that its service account has now; a pod gets them only
    /// when it is made.
    Unnamed { later: Vec<String> },
    /// None fits, and these are not in the namespace.
    Missing { names: Vec<String> },
    /// None that could be read fits, and these could not be read.
    Unread { names: Vec<String> },
    /// They are there, and none fits the image.
    Unfit { secrets: Vec<Unfit> },
    /// This one does not parse, and with it fails every pull of the pod.
    Malformed { secret: String, why: String },
    /// The image's name is no reference, so that nothing can be looked up.
    Unjudged,
    /// These are tried, in this order.
    Sent(Vec<Login>),
}

/// A secret that is of no use for the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) secret: String,
    /// Its keys or its type, and why that does not do; safe to show.
    pub(super) why: String,
    /// Whether its type is the reason, which cannot be changed.
    pub(super) wrong_type: bool,
    /// The key to write instead, when one of its keys is a near miss.
    pub(super) key: Option<String>,
}

/// A credential that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) secret: String,
    /// The key of the docker config; safe to show.
    pub(super) key: String,
    pub(super) freshness: Freshness,
    /// Whether tokens of its kind end by themselves.
    pub(super) short_lived: bool,
    /// Whether syncd keeps the secret.
    pub(super) by_syncd: bool,
}

/// A pull secret that the pod names, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) secret: String,
    /// Whether kubelet takes a credential for the image out of it.
    pub(super) fits: bool,
    /// Which key fits, or why none does; safe to show.
    pub(super) words: String,
}

impl Creds {
    /// The credentials that are tried, in their order.
    pub(super) fn logins(&self) -> &[Login] {
        match self {
            Self::Sent(logins) => logins,
            _ => &[],
        }
    }

    /// The credential that is tried first.
    pub(super) fn first(&self) -> Option<&Login> {
        self.logins().first()
    }

    /// Whether all that is sent is past its time.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Sent(logins) if !logins.is_empty()
            && logins.iter().all(|login| login.freshness.is_over()))
    }

    /// Whether what is sent ends by itself some time.
    pub(super) fn is_short_lived(&self) -> bool {
        self.first().is_some_and(|login| login.short_lived)
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Unjudged => "the image's name is no reference".to_owned(),
            Self::Unnamed { .. } => "the pod names no pull secret".to_owned(),
            Self::Missing { names } => format!("no pull secret {} in the namespace", listed(names)),
            Self::Unread { names } => format!("pull secret {} could not be read", listed(names)),
            Self::Unfit { secrets } => secrets
                .iter()
                .take(3)
                .map(|unfit| format!("`{}`: {}", unfit.secret, unfit.why))
                .collect::<Vec<_>>()
                .join("; "),
            Self::Malformed { secret, why } => format!("pull secret `{secret}` {why}"),
            Self::Sent(logins) => logins
                .iter()
                .take(3)
                .map(|login| format!("`{}`, key {}", login.secret, login.key))
                .collect::<Vec<_>>()
                .join("; then "),
        }
    }
}

/// `a`, `b` and 3 more.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| format!("`{}`", clean_to(name, 80)))
        .collect();
    match names.len() {
        n if n > 3 => format!("{} and {} more", shown.join(", "), n - 3),
        _ => shown.join(", "),
    }
}
