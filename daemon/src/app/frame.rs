//! What stands around the tasks: listeners, readiness, and the end in order.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use syncd_config::Config;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;

use super::signals::{Signals, is_told};
use super::{Notice, RunOptions, StartError, lock, reload, upkeep};
use crate::context::{Context, flush_index};
use crate::control;
use crate::oci::layout::Layout;
use crate::registry::{self, Registry};
use crate::status::{self, Counters, Listener, View, ViewSources};
use crate::telemetry::chain;

/// After the signal to stop, this much time to end everything in order.
const STOPPING: Duration = Duration::from_secs(8);

/// What stands around the tasks.
pub(super) struct Frame {
    config: Arc<Config>,
    signals: Signals,
    pub(super) view: View,
    pub(super) sources: ViewSources,
    jobs: JoinSet<()>,
    registry: Arc<OnceLock<Arc<Registry>>>,
    context: Arc<OnceLock<watch::Receiver<Arc<Context>>>>,
}

impl Frame {
    pub(super) fn new(options: &RunOptions, config: Arc<Config>, signals: Signals) -> Self {
        let now = options.clock.now();
        let registry = Arc::new(OnceLock::<Arc<Registry>>::new());
        let served_by = Arc::clone(&registry);
        let context = Arc::new(OnceLock::<watch::Receiver<Arc<Context>>>::new());
        let minted_by = Arc::clone(&context);
        let counters = Counters {
            served: Arc::new(move || served_by.get().map(|registry| upkeep::served(registry))),
            mints: Arc::new(move || {
                let context = minted_by.get().map(|context| Arc::clone(&context.borrow()));
                context.map_or_else(Vec::new, |context| context.mints())
            }),
        };
        let file = options.config_path.display().to_string();
        let (view, sources) = View::new(now, reload::first_status(file.clone(), now), counters);
        sources.ready.send_modify(|ready| {
            ready.set("configuration", true, file);
            ready.set("store", false, "not opened yet");
            if config.registry.is_some() {
                ready.set("registry", false, "does not listen yet");
            }
            ready.set("commands", false, "the control socket is not open yet");
        });
        Self {
            config,
            signals,
            view,
            sources,
            jobs: JoinSet::new(),
            registry,
            context,
        }
    }

    /// What is counted there is shown from now on.
    pub(super) fn count(&self, context: watch::Receiver<Arc<Context>>) {
        let _first = self.context.set(context);
    }

    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.signals.stop.clone()
    }

    pub(super) fn hangup(&self) -> watch::Receiver<u64> {
        self.signals.hangup.clone()
    }

    /// Work that ends with the daemon.
    pub(super) fn spawn(&mut self, job: impl Future<Output = ()> + Send + 'static) {
        self.jobs.spawn(job);
    }

    /// Serves `router` until the daemon stops.
    pub(super) fn serve(
        &mut self,
        listener: impl Listener + Sync + 'static,
        router: Router,
        lifetime: Option<Duration>,
    ) {
        let stop = self.stop();
        self.spawn(status::serve(listener, router, lifetime, stop));
    }

    /// Opens the store, with the status listener before it; `None` when told to stop.
    pub(super) async fn open(&mut self, options: &RunOptions) -> Result<Option<Layout>, StartError> {
        let pages = status::router(self.view.clone());
        let early = TcpListener::bind(self.config.listen).await.ok();
        let late = early.is_none();
        if let Some(listener) = early {
            self.serve(listener, pages.clone(), status::SHORT_LIVED);
        }
        let store = lock::acquire(&self.config, options, &self.sources, self.stop()).await?;
        if late && store.is_some() {
            // The process before us may have had the port until it let the store go.
            let listener = listen("status", self.config.listen).await?;
            self.serve(listener, pages, status::SHORT_LIVED);
        }
        Ok(store)
    }

    /// The embedded registry, when there is one.
    pub(super) async fn serve_registry(
        &mut self,
        store: &Layout,
    ) -> Result<Option<Arc<Registry>>, StartError> {
        let Some(section) = &self.config.registry else {
            return Ok(None);
        };
        let address = section.listen;
        let registry = Registry::new(section, store.clone()).map_err(StartError::Registry)?;
        let registry = Arc::clone(self.registry.get_or_init(|| Arc::new(registry)));
        let listener = listen("registry", address).await?;
        let mut stop = self.stop();
        let stopped = async move {
            is_told(&mut stop).await;
        };
        self.spawn(registry::serve(listener, Arc::clone(&registry), stopped));
        let ready = |ready: &mut status::Ready| ready.set("registry", true, format!("listens on {address}"));
        self.sources.ready.send_modify(ready);
        Ok(Some(registry))
    }

    /// Waits for the signal to stop, then ends everything in order.
    pub(super) async fn until_stopped(mut self, store: &Layout, options: &RunOptions) {
        is_told(&mut self.signals.stop).await;
        (options.notify)(Notice::Stopping);
        let ended = async { while self.jobs.join_next().await.is_some() {} };
        if timeout(STOPPING, ended).await.is_err() {
            warn!("some work did not end in time and is cut off");
            self.jobs.shutdown().await;
        }
        if let Err(error) = flush_index(store).await {
            warn!(error = %chain(&error), "failed to write the index files; the next start does it");
        }
        if let Err(error) = std::fs::remove_file(control::socket_path(&self.config.state_dir)) {
            warn!(%error, "failed to remove the control socket");
        }
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen {
        what,
        address,
        source,
    })
}
