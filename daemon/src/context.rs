//! What the jobs work with, built once: the clock, the registry client, the store, the receipts.
//!
//! The daemon and the one-shot commands build it by the same call, so that they do the same.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::config::{EmbeddedRegistry, TargetPlace};
use syncd_config::{Config, RegistryHost};
use syncd_providers::Clock;
use tokio::sync::OnceCell;

use crate::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::credentials::{self, CredentialContext, CredentialState};
use crate::diagnose::DiagnoseContext;
use crate::images::receipt::Receipts;
use crate::mirror::{self, MirrorContext, PassOptions, Progress};
use crate::oci::layout::Layout;
use crate::oci::{ErrorKind, RegistryClient, RegistryError};
use crate::report::{CredentialReport, MirrorReport};
use crate::tokens::{LastGoodStore, Tokens};

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
    /// The tokens of its identities.
    pub tokens: Tokens,
    /// The one client for registries.
    pub client: RegistryClient,
    /// Our own store, when this process holds it.
    pub store: Option<Layout>,
    /// The time.
    pub clock: Clock,
    kept: Kept,
}

impl Context {
    /// Builds the clients that the configuration asks for.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub fn new(
        config: Arc<Config>,
        store: Option<Layout>,
        clock: Clock,
        cluster: ClusterOptions,
    ) -> Result<Self, RegistryError> {
        let tokens = Tokens::new(&config.registries, max_age(&config), clock.clone());
        let kept = Kept::new(cluster);
        Self::build(config, store, clock, tokens, kept)
    }

    /// The same for a new configuration. Tokens of entries that stay the same, the connection to the
    /// cluster, and what is known about published credentials are kept.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub fn with_config(&self, config: Arc<Config>) -> Result<Self, RegistryError> {
        let tokens = self.tokens.with_entries(&config.registries, max_age(&config));
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Self::build(config, store, clock, tokens, self.kept.clone())
    }

    fn build(
        config: Arc<Config>,
        store: Option<Layout>,
        clock: Clock,
        tokens: Tokens,
        kept: Kept,
    ) -> Result<Self, RegistryError> {
        let client = RegistryClient::new(&config.registries, Arc::new(tokens.clone()), clock.clone())?;
        Ok(Self {
            config,
            tokens,
            client,
            store,
            clock,
            kept,
        })
    }

    /// The tokens asked for by each entry's identity, for the metrics.
    #[must_use]
    pub fn mints(&self) -> Vec<(String, u64)> {
        let of = |name: &String| Some((name.clone(), self.tokens.state(name)?.mints));
        let names = self.config.registries.iter().map(|entry| &entry.name);
        names.filter_map(of).collect()
    }

    /// One pass over the credentials. Nothing is published of the entries in `hold`.
    pub async fn credential_pass(
        &self,
        options: credentials::PassOptions,
        hold: Vec<String>,
    ) -> CredentialReport {
        let context = self.credentials(hold).await;
        credentials::pass(&context, options, self.clock.now()).await
    }

    /// What a pass over the credentials, and the watch between passes, work with.
    pub async fn credentials(&self, hold: Vec<String>) -> CredentialContext {
        let cluster = self.cluster().await;
        let last_good = match &cluster {
            Some(Ok(cluster)) => LastGoodStore::Secret(cluster.clone()),
            _ => LastGoodStore::Folder(self.config.state_dir.join("tokens")),
        };
        CredentialContext {
            config: Arc::clone(&self.config),
            tokens: self.tokens.clone(),
            client: self.client.clone(),
            cluster,
            last_good,
            state: self.kept.credentials.clone(),
            clock: self.clock.clone(),
            hold,
        }
    }

    /// The cluster, when a target is in one, or was since the start: what is there no longer wanted is
    /// removed by the pass.
    async fn cluster(&self) -> Option<Result<Cluster, Arc<ClusterError>>> {
        if !asks_cluster(&self.config) {
            return self.kept.cluster.connected.get().cloned().map(Ok);
        }
        Some(self.kept.cluster.get().await.map_err(Arc::new))
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

/// What outlives a new configuration.
#[derive(Clone)]
struct Kept {
    cluster: Arc<ClusterLink>,
    credentials: CredentialState,
}

/// The one connection to the cluster, made when it is first needed; one that could not be made is
/// tried again the next time.
struct ClusterLink {
    options: ClusterOptions,
    connected: OnceCell<Cluster>,
}

impl ClusterLink {
    async fn get(&self) -> Result<Cluster, ClusterError> {
        let connect = || Cluster::connect(&self.options);
        self.connected.get_or_try_init(connect).await.cloned()
    }
}

impl Kept {
    fn new(options: ClusterOptions) -> Self {
        Self {
            cluster: Arc::new(ClusterLink {
                options,
                connected: OnceCell::new(),
            }),
            credentials: CredentialState::new(),
        }
    }
}

/// Whether a target is in a cluster.
fn asks_cluster(config: &Config) -> bool {
    let targets = config
        .credentials
        .iter()
        .flat_map(|credentials| &credentials.targets);
    let mut places = targets.map(|target| &target.place);
    places.any(|place| matches!(place, TargetPlace::Kubernetes(_)))
}

fn max_age(config: &Config) -> Option<Duration> {
    config.credentials.as_ref()?.max_age
}

/// The entries of which a credential is kept somewhere, and whose registry is the embedded one: they
/// can be proven only while it serves, with what is in it.
#[must_use]
pub fn own_entries(config: &Config) -> Vec<String> {
    let (Some(registry), Some(credentials)) = (&config.registry, &config.credentials) else {
        return Vec::new();
    };
    let entries = config.registries.iter().filter(|entry| {
        let kept = credentials
            .targets
            .iter()
            .any(|target| target.registries.contains(&entry.name));
        kept && is_served_by(registry, &entry.host)
    });
    entries.map(|entry| entry.name.clone()).collect()
}

/// Whether `host` is one of the embedded registry's names, or its address under any name that this
/// machine has for itself.
fn is_served_by(registry: &EmbeddedRegistry, host: &RegistryHost) -> bool {
    if registry.names.contains(host) || registry.listen.to_string() == host.as_str() {
        return true;
    }
    let address = host.name().trim_matches(['[', ']']);
    let here = address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let listens_here = registry.listen.ip().is_loopback() || registry.listen.ip().is_unspecified();
    here && listens_here && host.port() == Some(registry.listen.port())
}

/// What a diagnosis works with; without a configuration there is no credential.
///
/// # Errors
/// A CA file cannot be used.
pub fn diagnose(config: Option<Arc<Config>>, clock: &Clock) -> Result<DiagnoseContext, RegistryError> {
    let entries = config.as_ref().map_or(&[][..], |config| &config.registries);
    let tokens = Tokens::new(entries, config.as_deref().and_then(max_age), clock.clone());
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::own_entries;

    #[test]
    fn an_entry_of_our_own_registry_is_known_by_every_name_of_this_machine() {
        let own = |listen: &str, host: &str| {
            let text = format!(
                "apiVersion: syncd.dev/v1alpha1\nkind: Config\n\
                 registry: {{listen: '{listen}', names: [registry.example:5000]}}\n\
                 registries:\n  - {{host: '{host}', basic: {{username: u, passwordFile: p}}}}\n\
                 credentials: {{targets: [{{file: {{path: c.json}}, registries: ['{host}']}}]}}\n"
            );
            let config = syncd_config::parse(text.as_bytes(), "c.yaml", Path::new("/base"));
            !own_entries(&config.unwrap_or_else(|e| panic!("{e}"))).is_empty()
        };
        for (listen, host, expected) in [
            ("127.0.0.1:5000", "127.0.0.1:5000", true),
            ("127.0.0.1:5000", "localhost:5000", true),
            ("127.0.0.1:5000", "registry.example:5000", true),
            ("0.0.0.0:5000", "127.0.0.1:5000", true),
            ("[::]:5000", "[::1]:5000", true),
            ("127.0.0.1:5000", "127.0.0.1:5001", false),
            ("127.0.0.1:5000", "localhost", false),
            ("192.0.2.1:5000", "192.0.2.1:5000", true),
            ("192.0.2.1:5000", "127.0.0.1:5000", false),
            ("0.0.0.0:5000", "192.0.2.7:5000", false),
            ("127.0.0.1:5000", "docker.io", false),
        ] {
            assert_eq!(own(listen, host), expected, "{listen} {host}");
        }
    }
}
