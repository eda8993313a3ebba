//! The embedded registry: distribution-spec 1.1 over the store.
//!
//! Guarantees: nothing is served or visible that was not hashed; a blob is read only through a
//! repository that holds it; an anonymous public pull is never challenged, so that no pod's upstream
//! secret comes here (see `auth.rs`); memory does not grow with what clients announce, send or fail to
//! read; no `Authorization` value reaches a log.

mod auth;
mod blobs;
mod body;
mod dispatch;
mod error;
mod htpasswd;
mod manifests;
mod metrics;
mod path;
mod push;
mod server;
mod tags;
mod tls;
mod uploads;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use syncd_config::config::EmbeddedRegistry;
use syncd_config::{RegistryHost, Repository};

use crate::oci::RegistryError;
use crate::oci::layout::Layout;
use auth::Access;
use body::Pool;
use error::Refusal;
use uploads::Uploads;

pub use error::RegistryServerError;
pub use metrics::{Metrics, RequestCount};
pub use path::RouteClass;
pub use server::serve;

/// The embedded registry, without its listener.
pub struct Registry {
    store: Layout,
    /// What clients call it: as `ns` these mean the path itself.
    names: Vec<RegistryHost>,
    access: RwLock<Arc<Access>>,
    tls: RwLock<Option<Arc<rustls::ServerConfig>>>,
    uploads: Uploads,
    pool: Pool,
    metrics: Metrics,
}

impl Registry {
    /// A registry that serves `store` by the rules of `config`.
    ///
    /// # Errors
    ///
    /// When the htpasswd file, the certificate, the key or the client CA cannot be used.
    pub fn new(config: &EmbeddedRegistry, store: Layout) -> Result<Self, RegistryServerError> {
        let mut names = config.names.clone();
        names.extend(config.listen.to_string().parse::<RegistryHost>());
        Ok(Self {
            store,
            names,
            access: RwLock::new(Arc::new(Access::load(&config.auth)?)),
            tls: RwLock::new(config.tls.as_ref().map(tls::load).transpose()?),
            uploads: Uploads::default(),
            pool: Pool::default(),
            metrics: Metrics::default(),
        })
    }

    /// Reads the htpasswd file and the certificates again. What cannot be used leaves the old in
    /// place, and the other one is taken over all the same. Connections that stand keep theirs.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be used.
    pub fn reload(&self, config: &EmbeddedRegistry) -> Result<(), RegistryServerError> {
        let access = Access::load(&config.auth).map(|access| {
            *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        });
        let tls = self.reload_tls(config);
        access.and(tls)
    }

    fn reload_tls(&self, config: &EmbeddedRegistry) -> Result<(), RegistryServerError> {
        let fresh = config.tls.as_ref().map(tls::load).transpose()?;
        let mut current = self.tls.write().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_some() != current.is_some() {
            return Err(RegistryServerError::TlsSwitched);
        }
        *current = fresh;
        Ok(())
    }

    /// What was counted so far.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn access(&self) -> Arc<Access> {
        self.access.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn exists(&self, repository: &Repository) -> Result<bool, Refusal> {
        Ok(self.store.has_repository(repository)?)
    }

    fn received(&self, bytes: u64) {
        self.metrics.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Runs work that waits for the disk off the async workers.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, Refusal> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|_| Refusal::internal())?.map_err(Refusal::from)
}
