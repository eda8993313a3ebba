//! The parts of the daemon that are put together in [`super`].

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use syncd_config::Config;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::signals::Signals;
use super::{Notice, Notify, RunOptions, StartError, reload, upkeep};
use crate::context::flush_index;
use crate::control;
use crate::oci::layout::Layout;
use crate::registry::{self, Registry};
use crate::status::{View, ViewSources};

/// After the signal to stop, this much time to end everything in order.
const STOPPING: Duration = Duration::from_secs(8);

pub(super) fn build_view(
    options: &RunOptions,
    registry: &Arc<OnceLock<Arc<Registry>>>,
) -> (View, ViewSources) {
    let now = options.clock.now();
    let registry = Arc::clone(registry);
    let served = Arc::new(move || registry.get().map(|registry| upkeep::served(registry)));
    let file = options.config_path.display().to_string();
    let (view, sources) = View::new(now, reload::first_status(file.clone(), now), served);
    sources.ready.send_modify(|ready| {
        ready.set("configuration", true, file);
        ready.set("store", false, "not opened yet");
    });
    (view, sources)
}

pub(super) async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen {
        what,
        address,
        source,
    })
}

pub(super) async fn serve_registry(
    config: &Config,
    store: &Layout,
    sources: &ViewSources,
    jobs: &mut JoinSet<()>,
    signals: &Signals,
) -> Result<Option<Arc<Registry>>, StartError> {
    let Some(section) = &config.registry else {
        return Ok(None);
    };
    let registry = Arc::new(Registry::new(section, store.clone()).map_err(StartError::Registry)?);
    let listener = listen("registry", section.listen).await?;
    let mut stop = signals.stop.clone();
    let stopped = async move {
        let _gone = stop.wait_for(|stop| *stop).await;
    };
    jobs.spawn(registry::serve(listener, Arc::clone(&registry), stopped));
    let address = section.listen.to_string();
    sources
        .ready
        .send_modify(|ready| ready.set("registry", true, format!("listens on {address}")));
    Ok(Some(registry))
}

pub(super) async fn stop(
    mut signals: Signals,
    mut jobs: JoinSet<()>,
    store: &Layout,
    config: &Config,
    notify: &Notify,
) {
    let _gone = signals.stop.wait_for(|stop| *stop).await;
    notify(Notice::Stopping);
    info!("stopping");
    let ended = async { while jobs.join_next().await.is_some() {} };
    if timeout(STOPPING, ended).await.is_err() {
        warn!("some work did not end in time and is cut off");
        jobs.shutdown().await;
    }
    if let Err(error) = flush_index(store).await {
        warn!(error = %crate::telemetry::chain(&error), "failed to write the index files; the next start does it");
    }
    if let Err(error) = std::fs::remove_file(control::socket_path(&config.state_dir)) {
        warn!(%error, "failed to remove the control socket");
    }
    info!("stopped");
}
