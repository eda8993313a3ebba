//! Who we are at a registry.

use std::fmt;

use futures::future::BoxFuture;
use syncd_config::{RegistryHost, Secret};

use super::error::RegistryError;

/// The user name that marks a secret as a refresh token (docker's own convention for identity
/// tokens): it is traded by POST, never sent as a password.
pub const REFRESH_TOKEN_USER: &str = "<token>";

/// What proves who we are at one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user; [`REFRESH_TOKEN_USER`] when the secret is a refresh token.
    pub username: String,
    /// The password or token.
    pub secret: Secret,
}

impl Credential {
    /// Whether the secret is a refresh token.
    #[must_use]
    pub fn is_refresh_token(&self) -> bool {
        self.username == REFRESH_TOKEN_USER
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(****)")
    }
}

/// Where credentials come from. Asked only for hosts that a user named, never because of what a
/// registry answered.
pub trait CredentialSource: Send + Sync {
    /// The credential for exactly this host. `None` means that none is configured (anonymous);
    /// one that is configured and cannot be had is an error, never `None`.
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>>;

    /// The registry refused this credential although it may not have expired: get another one
    /// next time, if there is another one.
    fn rejected(&self, host: &RegistryHost, credential: &Credential);
}

/// No credentials at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl CredentialSource for Anonymous {
    fn get<'a>(&'a self, _: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn rejected(&self, _: &RegistryHost, _: &Credential) {}
}

/// One host's credential, and none for any other: what somebody else than the configuration said
/// (a pod's secret, a token that is being proven).
pub(crate) struct Only {
    host: RegistryHost,
    credential: Option<Credential>,
}

impl Only {
    pub(crate) fn new(host: RegistryHost, credential: Option<Credential>) -> Self {
        Self { host, credential }
    }
}

impl CredentialSource for Only {
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        let own = self.credential.clone().filter(|_| *host == self.host);
        Box::pin(std::future::ready(Ok(own)))
    }

    fn rejected(&self, _: &RegistryHost, _: &Credential) {}
}
