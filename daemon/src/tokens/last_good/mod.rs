//! The trusted store of the last good token of each entry: what is served from when an issuer is
//! down after a restart. Only syncd can write it; target secrets and files are never read back.
//!
//! - On a host one file an entry in a folder of mode 0700, each 0600, replaced by rename after
//!   `fsync`: a crash leaves the old one or the new one.
//! - In a cluster one secret in syncd's own namespace, one key an entry; each write names the version
//!   that it was made from.
//! - One that cannot be read is named, and neither hides nor harms the others.
//! - A token is for one entry, host and identity; [`Good::is_for`] says so before it is used.

mod folder;
mod form;
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use syncd_config::config::RegistryEntry;
use syncd_config::{RegistryHost, Secret};
use syncd_providers::{Expiry, Token};
use thiserror::Error;

use crate::cluster::{Cluster, ClusterError};

/// The last token of one entry that was published.
#[derive(Clone, PartialEq, Eq)]
pub struct Good {
    /// The entry of `registries`.
    pub name: String,
    /// The host that the token is for.
    pub host: RegistryHost,
    /// Who it was had as: [`syncd_providers::TokenProvider::identity`].
    pub identity: String,
    /// The user that goes with it.
    pub username: String,
    /// The password or token.
    pub secret: Secret,
    /// Until when it is good.
    pub expires: Expiry,
    /// When it was minted.
    pub minted: Timestamp,
    /// When it was seen to pull; `None` for one that was published unproven.
    pub proven: Option<Timestamp>,
}

/// By the entry's name.
pub type LastGood = BTreeMap<String, Good>;

/// Where last-good tokens are kept.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum LastGoodStore {
    /// A folder of a host: `stateDir/tokens`.
    Folder(PathBuf),
    /// The secret `syncd-state` of type `syncd.dev/state` in syncd's own namespace.
    Secret(Cluster),
}

/// What a store holds.
#[derive(Debug, Default)]
pub struct Stored {
    /// What can be read.
    pub good: LastGood,
    /// What cannot, each with its place.
    pub problems: Vec<TokenStoreError>,
}

/// Why a last-good token cannot be read or kept. No message holds a value.
#[derive(Debug, Error)]
pub enum TokenStoreError {
    /// The place cannot be read.
    #[error("failed to read the last good tokens in {place}")]
    Read {
        /// The folder or file.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("failed to keep the last good tokens in {place}")]
    Write {
        /// The folder or file.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cluster does not let us read or write it.
    #[error("failed to reach the last good tokens in {place}")]
    Cluster {
        /// The secret.
        place: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
    /// Others than syncd may have written it.
    #[error("the last good tokens in {place} cannot be trusted: {what}")]
    Untrusted {
        /// The folder or file.
        place: String,
        /// Why not.
        what: &'static str,
    },
    /// It is no last-good token.
    #[error("there is no last good token in {place}: {what}")]
    Malformed {
        /// The file.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer syncd wrote it.
    #[error("the last good token in {place} was written by a newer syncd (form {version})")]
    Newer {
        /// The file.
        place: String,
        /// Its form.
        version: u64,
    },
    /// It does not fit.
    #[error("the last good tokens in {place} are too large: {bytes} bytes, {most} are possible")]
    TooLarge {
        /// The place.
        place: String,
        /// What there is.
        bytes: u64,
        /// What may be.
        most: u64,
    },
}

/// The classes of [`TokenStoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenStoreErrorKind {
    /// The place fails.
    Io,
    /// The cluster does.
    Cluster,
    /// Others than syncd may have written it.
    Untrusted,
    /// It cannot be understood.
    Malformed,
    /// It does not fit.
    TooLarge,
}

impl TokenStoreError {
    /// The class.
    #[must_use]
    pub fn kind(&self) -> TokenStoreErrorKind {
        match self {
            Self::Read { .. } | Self::Write { .. } => TokenStoreErrorKind::Io,
            Self::Cluster { .. } => TokenStoreErrorKind::Cluster,
            Self::Untrusted { .. } => TokenStoreErrorKind::Untrusted,
            Self::Malformed { .. } | Self::Newer { .. } => TokenStoreErrorKind::Malformed,
            Self::TooLarge { .. } => TokenStoreErrorKind::TooLarge,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Untrusted { place, .. } => Some(format!(
                "remove {place} when you did not put it there; syncd keeps the next token anew"
            )),
            Self::Malformed { place, .. } | Self::Newer { place, .. } => {
                Some(format!("remove {place}; syncd keeps the next token anew"))
            }
            Self::Read { .. } | Self::Write { .. } | Self::Cluster { .. } | Self::TooLarge { .. } => None,
        }
    }
}

impl Good {
    /// A token that was had for an entry.
    #[must_use]
    pub fn of(entry: &RegistryEntry, identity: &str, token: &Token, proven: Option<Timestamp>) -> Self {
        Self {
            name: entry.name.clone(),
            host: entry.host.clone(),
            identity: identity.to_owned(),
            username: token.username.clone(),
            secret: token.secret.clone(),
            expires: token.expires,
            minted: token.minted_at,
            proven,
        }
    }

    /// Whether it may be used for that entry: the same name, host and identity. A token of another
    /// host never goes to this one because an entry was renamed or pointed elsewhere.
    #[must_use]
    pub fn is_for(&self, entry: &RegistryEntry, identity: &str) -> bool {
        self.name == entry.name && self.host == entry.host && self.identity == identity
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> Token {
        Token {
            username: self.username.clone(),
            secret: self.secret.clone(),
            expires: self.expires,
            minted_at: self.minted,
        }
    }
}

impl fmt::Debug for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Good")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("expires", &self.expires)
            .field("minted", &self.minted)
            .field("proven", &self.proven)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LastGoodStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Secret(cluster) => f.debug_tuple("Secret").field(&secret::place(cluster)).finish(),
        }
    }
}

impl LastGoodStore {
    /// All last-good tokens. Whether one may be used for an entry is [`Good::is_for`]'s to say.
    ///
    /// # Errors
    /// The place, or anything in it, cannot be read. [`Self::read`] gives the rest nevertheless.
    pub async fn load(&self) -> Result<LastGood, TokenStoreError> {
        let Stored { good, problems } = self.read().await?;
        problems.into_iter().next().map_or(Ok(good), Err)
    }

    /// What can be read, and what cannot.
    ///
    /// # Errors
    /// The place itself cannot be read or trusted.
    pub async fn read(&self) -> Result<Stored, TokenStoreError> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                off_thread(&folder.clone(), move || folder::read(&folder)).await
            }
            Self::Secret(cluster) => secret::read(cluster).await,
        }
    }

    /// Keeps these tokens, each in the place of an older one of the same entry; others stay. Writes
    /// nothing where the same is kept already.
    ///
    /// # Errors
    /// Something cannot be written; what could be is. One of a newer syncd is never written over.
    pub async fn save(&self, good: &LastGood) -> Result<(), TokenStoreError> {
        match self {
            Self::Folder(folder) => {
                let (folder, good) = (folder.clone(), good.clone());
                off_thread(&folder.clone(), move || folder::save(&folder, &good)).await
            }
            Self::Secret(cluster) => secret::save(cluster, good).await,
        }
    }

    /// Forgets the tokens of all entries but these: what is no longer configured. What cannot be
    /// read stays.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub async fn retain(&self, names: &BTreeSet<String>) -> Result<(), TokenStoreError> {
        match self {
            Self::Folder(folder) => {
                let (folder, names) = (folder.clone(), names.clone());
                off_thread(&folder.clone(), move || folder::retain(&folder, &names)).await
            }
            Self::Secret(cluster) => secret::retain(cluster, names).await,
        }
    }
}

/// Files are read and written where nobody waits behind them.
async fn off_thread<T: Send + 'static>(
    place: &std::path::Path,
    work: impl FnOnce() -> Result<T, TokenStoreError> + Send + 'static,
) -> Result<T, TokenStoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(TokenStoreError::Read {
            place: place.display().to_string(),
            source: io::Error::other(error),
        })
    })
}

#[cfg(test)]
mod tests;
