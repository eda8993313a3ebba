//! What the jobs work with, built once: the clock, the registry client, the store, the receipts.
//!
//! The daemon and the one-shot commands build it by the same call, so that they do the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::Config;
use syncd_providers::Clock;

use crate::diagnose::DiagnoseContext;
use crate::images::receipt::Receipts;
use crate::mirror::{self, MirrorContext, PassOptions, Progress};
use crate::oci::layout::Layout;
use crate::oci::{ErrorKind, RegistryClient, RegistryError};
use crate::report::MirrorReport;
use crate::tokens::Tokens;

/// The time as the machine tells it.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn wall_clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}

/// Where the store of a configuration lies.
#[must_use]
pub fn store_dir(config: &Config) -> PathBuf {
    config.state_dir.join("store")
}

/// Opens the store for writing; the lock is held as long as the store lives.
///
/// # Errors
/// [`ErrorKind::Locked`] names the process that holds it.
pub fn own_store(config: &Config) -> Result<Layout, RegistryError> {
    Layout::own(&store_dir(config))
}

/// One configuration with everything that jobs need to work by it.
pub struct Context {
    /// The configuration.
    pub config: Arc<Config>,
    /// The tokens of the configuration's identities.
    pub tokens: Tokens,
    /// The one client for registries.
    pub client: RegistryClient,
    /// Our own store, when this process holds it.
    pub store: Option<Layout>,
    /// The time.
    pub clock: Clock,
}

impl Context {
    /// Builds the clients that the configuration asks for.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub fn new(config: Arc<Config>, store: Option<Layout>, clock: Clock) -> Result<Self, RegistryError> {
        let tokens = Tokens::new(&config.registries, max_age(&config), clock.clone());
        Self::build(config, store, clock, tokens)
    }

    /// The same for a new configuration. Identities that are the same go on with the token, the
    /// error and the back-off that they had.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_config(&self, config: Arc<Config>) -> Result<Self, RegistryError> {
        let tokens = self.tokens.with_entries(&config.registries, max_age(&config));
        Self::build(config, self.store.clone(), self.clock.clone(), tokens)
    }

    fn build(
        config: Arc<Config>,
        store: Option<Layout>,
        clock: Clock,
        tokens: Tokens,
    ) -> Result<Self, RegistryError> {
        let client = RegistryClient::new(&config.registries, Arc::new(tokens.clone()), clock.clone())?;
        Ok(Self {
            config,
            tokens,
            client,
            store,
            clock,
        })
    }

    /// One pass of the mirror.
    pub async fn mirror_pass(&self, options: PassOptions, progress: Arc<dyn Progress>) -> MirrorReport {
        let context = MirrorContext {
            config: Arc::clone(&self.config),
            client: self.client.clone(),
            store: self.store.clone(),
            receipts: Receipts::new(&self.config.state_dir),
            clock: self.clock.clone(),
        };
        mirror::pass(&context, options, progress, self.clock.now()).await
    }
}

fn max_age(config: &Config) -> Option<Duration> {
    config.credentials.as_ref()?.max_age
}

/// What a diagnosis works with; without a configuration there is no credential.
///
/// # Errors
/// A CA file cannot be used.
pub fn diagnose(config: Option<Arc<Config>>, clock: &Clock) -> Result<DiagnoseContext, RegistryError> {
    let entries = config.as_ref().map_or(&[][..], |config| &config.registries);
    let tokens = Tokens::new(entries, None, clock.clone());
    let client = RegistryClient::new(entries, Arc::new(tokens), clock.clone())?;
    Ok(DiagnoseContext {
        store: config.as_deref().map(store_dir),
        config,
        client,
    })
}

/// Writes the derived `index.json` files that are older than their repository's tags.
pub async fn flush_index(store: &Layout) -> Result<(), RegistryError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.flush_index()).await {
        Ok(flushed) => flushed,
        Err(error) => {
            Err(RegistryError::new(ErrorKind::Io, "the store", "write its index files").caused_by(error))
        }
    }
}
