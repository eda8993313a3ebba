//! The composition root of `syncd run`, read from top to bottom.

mod error;
mod lock;
mod mirror;
mod options;
mod parts;
mod reload;
mod signals;
mod summary;
mod upkeep;

use std::sync::{Arc, OnceLock};

use syncd_config::Loaded;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::context::Context;
use crate::control;
use crate::schedule;
use crate::status;
pub use error::StartError;
use mirror::MirrorTask;
pub use mirror::options as pass_options;
pub use options::{Notice, Notify, RunOptions};
use parts::{build_view, listen, serve_registry, stop};
use reload::Reload;
use signals::Signals;
pub use summary::{mirror_summary, size};

/// The daemon, from start to stop.
///
/// # Errors
/// Why it could not start.
pub async fn run(options: RunOptions) -> Result<(), StartError> {
    let (signals, mut force) = Signals::install()?;
    tokio::select! {
        ended = daemon(options, signals) => ended,
        // The second signal: at once.
        _forced = force.wait_for(|force| *force) => Ok(()),
    }
}

async fn daemon(options: RunOptions, signals: Signals) -> Result<(), StartError> {
    let notify = Arc::clone(&options.notify);
    let Loaded {
        config,
        hash,
        warnings,
        ..
    } = load(&options)?;
    let config = Arc::new(config);
    notify(Notice::Warnings(&warnings));

    // Seen from outside from the first moment: alive, not ready.
    let registry_slot = Arc::new(OnceLock::new());
    let (view, sources) = build_view(&options, &registry_slot);
    let mut jobs = JoinSet::new();
    let status = TcpListener::bind(config.listen).await.ok();
    let serving_status = status.is_some();
    if let Some(listener) = status {
        jobs.spawn(status::serve(
            listener,
            status::router(view.clone()),
            signals.stop.clone(),
        ));
    }

    let Some(store) = lock::acquire(&config, &options, &sources, signals.stop.clone()).await? else {
        return Ok(());
    };
    if !serving_status {
        // The process before us may have had the port until it let the store go.
        let listener = listen("status", config.listen).await?;
        jobs.spawn(status::serve(
            listener,
            status::router(view.clone()),
            signals.stop.clone(),
        ));
    }

    // Clients and jobs.
    let context = Context::new(Arc::clone(&config), Some(store.clone()), options.clock.clone());
    let context = context.map_err(StartError::Client)?;
    let (context, contexts) = watch::channel(Arc::new(context));
    let registry = serve_registry(&config, &store, &sources, &mut jobs, &signals).await?;
    if let Some(registry) = &registry {
        registry_slot.get_or_init(|| Arc::clone(registry));
    }
    let (timetable, timetables) = watch::channel(mirror::timetable(&config));
    let task = Arc::new(MirrorTask::new(
        contexts,
        sources.mirror.clone(),
        Arc::clone(&notify),
    ));
    let (handle, driver) = schedule::spawn(
        task.clone(),
        timetables,
        options.clock.clone(),
        signals.stop.clone(),
    );
    sources.tasks.send_replace(vec![handle.clone()]);
    jobs.spawn(async move {
        if driver.await.is_err() {
            warn!("a task's driver ended early")
        }
    });

    // Doors for commands, upkeep, reload.
    let socket = control::listen(&config.state_dir)?;
    let router = control::router(view.clone(), task.by_hand(handle.clone()));
    jobs.spawn(status::serve(socket, router, signals.stop.clone()));
    jobs.spawn(upkeep::keep(
        store.clone(),
        sources.ready.clone(),
        signals.stop.clone(),
    ));
    let reload = Reload::new(
        &options,
        hash,
        context,
        timetable,
        handle,
        registry,
        sources.config.clone(),
    );
    jobs.spawn(reload.watch(signals.hangup.clone(), signals.stop.clone()));

    info!(status = %config.listen, state_dir = %config.state_dir.display(), "ready");
    notify(Notice::Ready(&config));
    stop(signals, jobs, &store, &config, &notify).await;
    Ok(())
}

fn load(options: &RunOptions) -> Result<Loaded, StartError> {
    syncd_config::load(&options.config_path).map_err(StartError::Config)
}
