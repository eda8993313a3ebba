//! What opens a registry, and who hands it out.

#[doc(hidden)]
pub mod conformance;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use syncd_config::Secret;
use thiserror::Error;

/// A credential for one registry, as an identity got it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The user that goes with it.
    pub username: String,
    /// The password or token.
    pub secret: Secret,
    /// Until when it is good, as its issuer says.
    pub expires: Expiry,
    /// When it was asked for.
    pub minted_at: Timestamp,
}

/// The end of a token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The issuer said when.
    Known(Timestamp),
    /// It said nothing, or nothing that can be true.
    Unknown,
}

impl Expiry {
    /// The time, when it is known.
    #[must_use]
    pub const fn known(self) -> Option<Timestamp> {
        match self {
            Self::Known(at) => Some(at),
            Self::Unknown => None,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires", &self.expires)
            .field("minted_at", &self.minted_at)
            .finish_non_exhaustive()
    }
}

/// An identity that can be traded for tokens of one registry. Chosen by the configured entry, never
/// by an image's name.
pub trait TokenProvider: Send + Sync {
    /// Who this is, for reports and audit lines: `basic: bot, password in /etc/syncd/hub`. No secret.
    fn identity(&self) -> String;

    /// A token that is good now. Asks its issuer each time: who calls keeps what it got, and who
    /// calls sets the deadline (dropping the future gives up).
    ///
    /// # Errors
    /// [`TokenError`] with the provider's own words and never a value.
    fn mint(&self, now: Timestamp) -> BoxFuture<'_, Result<Token, TokenError>>;

    /// Whether `token` is still what this identity would hand out, as far as that can be told
    /// without asking its issuer (a password file that has changed, or cannot be read, says no).
    /// Asked at every use: a look at a local file at most.
    fn is_current(&self, token: &Token) -> bool;

    /// The registry refused `token`: nothing kept may be handed out at the next [`Self::mint`].
    fn rejected(&self, token: &Token);

    /// With less life left than this a token is of no use to a node.
    fn useful_minimum(&self) -> Duration;

    /// Whether minting only reads what lies on this machine: nobody is spared by waiting, so it is
    /// done again whenever it is asked for.
    fn is_local(&self) -> bool {
        false
    }
}

/// Why there is no token.
#[derive(Debug, Error)]
#[error("failed to get a token of {identity}: {detail}")]
pub struct TokenError {
    /// The closed class.
    pub kind: TokenErrorKind,
    /// [`TokenProvider::identity`].
    pub identity: String,
    /// The provider's own words, escaped and cut; never a value.
    pub detail: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TokenError {
    /// An error without a cause; `detail` is cleaned here.
    #[must_use]
    pub fn new(kind: TokenErrorKind, identity: &str, detail: &str) -> Self {
        Self {
            kind,
            identity: identity.to_owned(),
            detail: syncd_config::text::clean(detail),
            source: None,
        }
    }

    /// The same error, about this identity.
    #[must_use]
    pub fn about(self, identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            ..self
        }
    }
}

/// The classes of [`TokenError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenErrorKind {
    /// The issuer knows us and says no.
    Denied,
    /// Too many requests.
    Throttled,
    /// No answer, or one of an outage.
    Unreachable,
    /// Something on our side is missing or wrong: a file, a role, a region.
    Misconfigured,
    /// An answer that no issuer gives.
    Malformed,
    /// The clocks of both sides disagree.
    ClockSkew,
}

impl TokenErrorKind {
    /// The name in reports, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Misconfigured => "misconfigured",
            Self::Malformed => "malformed",
            Self::ClockSkew => "clock_skew",
        }
    }
}
