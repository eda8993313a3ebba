//! One token an identity: kept while it is good, asked for once however many want it, and the last
//! proven one kept where only syncd can write.
//!
//! [`Tokens`] is the one place that credentials of the configuration come from, for the registry
//! client as for what is published. It knows entries by name; which entry speaks for a host is
//! `oci::credentials::entry_for`'s to say.

mod budget;
mod cache;
pub mod due;
mod failure;
mod last_good;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use syncd_config::RegistryHost;
use syncd_config::config::{Identity, RegistryEntry};
use syncd_providers::basic::Basic;
use syncd_providers::{Clock, Expiry, Token, TokenError, TokenErrorKind, TokenProvider};

pub use self::cache::DEADLINE;
use self::cache::{Slot, Want};
pub use self::last_good::{Good, LastGood, LastGoodStore, TokenStoreError};
use crate::oci::credentials::entry_for;
use crate::oci::{Credential, CredentialSource, ErrorKind, RegistryError};

/// The tokens of all entries that have an identity. Clones share everything.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    entries: Vec<RegistryEntry>,
    slots: BTreeMap<String, (RegistryEntry, Arc<Slot>)>,
    max_age: Option<Duration>,
    clock: Clock,
}

/// How one entry's token stands.
#[derive(Clone, Debug)]
pub struct TokenState {
    /// Who we are, without a secret.
    pub identity: String,
    /// The token, as long as nothing better is known; its end may have passed.
    pub token: Option<Token>,
    /// When asking for the next one is useful; `None` when nothing says so (an unknown end).
    pub next_refresh: Option<Timestamp>,
    /// Why there is no newer one: the failure since the last success, in one line with its causes.
    pub error: Option<(TokenErrorKind, String)>,
    /// How often the identity was asked for a token.
    pub mints: u64,
}

impl Tokens {
    /// The tokens of these entries; nothing is asked for yet. Tokens older than `max_age` are due
    /// whatever their end is.
    #[must_use]
    pub fn new(entries: &[RegistryEntry], max_age: Option<Duration>, clock: Clock) -> Self {
        Self::build(entries, max_age, clock, &BTreeMap::new())
    }

    /// The tokens of a new configuration: an entry whose name, host and identity are the same keeps
    /// its token, its last error and its back-off; so do clones of the old one that are still used.
    #[must_use]
    pub fn with_entries(&self, entries: &[RegistryEntry], max_age: Option<Duration>) -> Self {
        Self::build(entries, max_age, self.inner.clock.clone(), &self.inner.slots)
    }

    /// The tokens of identities that no configuration names, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn of_providers(
        providers: Vec<(RegistryEntry, Arc<dyn TokenProvider>)>,
        max_age: Option<Duration>,
        clock: Clock,
    ) -> Self {
        let entries = providers.iter().map(|(entry, _)| entry.clone()).collect();
        let slot = |(entry, provider): (RegistryEntry, Arc<dyn TokenProvider>)| {
            let slot = Slot::new(&entry.name, provider, clock.clone());
            (entry.name.clone(), (entry, slot))
        };
        let slots = providers.into_iter().map(slot).collect();
        Self {
            inner: Arc::new(Inner {
                entries,
                slots,
                max_age,
                clock: clock.clone(),
            }),
        }
    }

    fn build(
        entries: &[RegistryEntry],
        max_age: Option<Duration>,
        clock: Clock,
        before: &BTreeMap<String, (RegistryEntry, Arc<Slot>)>,
    ) -> Self {
        let slot = |entry: &RegistryEntry| {
            let kept = before
                .get(&entry.name)
                .filter(|(was, _)| was.host == entry.host && was.identity == entry.identity)
                .map(|(_, slot)| Arc::clone(slot));
            let made = || {
                let identity = entry.identity.as_ref()?;
                Some(Slot::new(&entry.name, provider(identity), clock.clone()))
            };
            let slot = kept.or_else(made)?;
            Some((entry.name.clone(), (entry.clone(), slot)))
        };
        Self {
            inner: Arc::new(Inner {
                slots: entries.iter().filter_map(slot).collect(),
                entries: entries.to_vec(),
                max_age,
                clock,
            }),
        }
    }

    /// The token of an entry: the one at hand while it is current and not due, else a new one. One
    /// mint is under way an identity, however many ask and whoever of them gives up, for at most
    /// [`DEADLINE`]. When no new one can be had, or its issuer is left alone after failures, the one
    /// before as long as it lives. `None`: no entry of that name has an identity.
    ///
    /// # Errors
    /// There is no token that lives; while the issuer is left alone, the last error at once.
    pub async fn get(&self, name: &str) -> Result<Option<Token>, TokenError> {
        self.ask(name, Want::Current).await
    }

    /// As [`Self::get`], and minted now even when the one before is not due. Failures, back-off and
    /// the budget of requests are as there: whether it *is* new is in its `minted_at`, and why it is
    /// not in [`TokenState::error`].
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn fresh(&self, name: &str) -> Result<Option<Token>, TokenError> {
        self.ask(name, Want::Fresh).await
    }

    async fn ask(&self, name: &str, want: Want) -> Result<Option<Token>, TokenError> {
        let Some((_, slot)) = self.inner.slots.get(name) else {
            return Ok(None);
        };
        slot.ask(want, self.inner.max_age).await.map(Some)
    }

    /// The registry refused that token of the entry: the next one asked for is minted, whatever the
    /// old one's end says. One of many that are refused one after the other is kept for a minute.
    pub fn rejected(&self, name: &str, token: &Token) {
        if let Some((_, slot)) = self.inner.slots.get(name) {
            slot.rejected(token);
        }
    }

    /// How the token of an entry stands; `None` when no entry of that name has an identity.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<TokenState> {
        let (_, slot) = self.inner.slots.get(name)?;
        Some(slot.token_state(self.inner.max_age))
    }

    /// With less life left than this, a token of the entry is of no use to a node.
    #[must_use]
    pub fn useful_minimum(&self, name: &str) -> Option<Duration> {
        let (_, slot) = self.inner.slots.get(name)?;
        Some(slot.useful_minimum())
    }

    fn slot_of(&self, host: &RegistryHost) -> Result<Option<&Arc<Slot>>, RegistryError> {
        let entry = entry_for(&self.inner.entries, host)?;
        Ok(entry.and_then(|(_, entry)| Some(&self.inner.slots.get(&entry.name)?.1)))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.slots.keys()).finish()
    }
}

fn provider(identity: &Identity) -> Arc<dyn TokenProvider> {
    match identity {
        Identity::Basic {
            username,
            password_file,
        } => Arc::new(Basic::new(username, password_file)),
    }
}

/// A token that lives is used although it is due: a request to a registry does not wait for an
/// issuer that is slow, the next one is asked for beside it.
impl CredentialSource for Tokens {
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        Box::pin(async move {
            let Some(slot) = self.slot_of(host)? else {
                return Ok(None);
            };
            match slot.ask(Want::Living, self.inner.max_age).await {
                Ok(token) => Ok(Some(Credential {
                    username: token.username,
                    secret: token.secret,
                })),
                Err(error) => Err(unavailable(host, error)),
            }
        })
    }

    fn rejected(&self, host: &RegistryHost, credential: &Credential) {
        if let Ok(Some(slot)) = self.slot_of(host) {
            slot.rejected(&Token {
                username: credential.username.clone(),
                secret: credential.secret.clone(),
                expires: Expiry::Unknown,
                minted_at: self.inner.clock.now(),
            });
        }
    }
}

fn unavailable(host: &RegistryHost, error: TokenError) -> RegistryError {
    let failed = RegistryError::new(
        ErrorKind::CredentialUnavailable,
        host.as_str(),
        "get the credential",
    )
    .detail(&error.detail);
    match error.source {
        Some(source) => failed.caused_by(source),
        None => failed,
    }
}

#[cfg(test)]
mod tests;
