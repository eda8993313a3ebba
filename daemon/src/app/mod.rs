//! The composition root of `syncd run`, read from top to bottom.

mod credentials;
mod error;
mod follow;
mod frame;
mod lock;
mod mirror;
mod options;
mod reload;
mod signals;
mod summary;
mod tasks;
mod upkeep;

use std::sync::Arc;

use syncd_config::{Config, Loaded};
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::context::Context;
use crate::control;
use crate::oci::layout::Layout;
use crate::registry::Registry;
pub use credentials::options as credential_options;
pub use error::StartError;
use frame::Frame;
pub use mirror::options as pass_options;
pub use options::{Notice, Notify, RunOptions};
use reload::{Follower, Followers, Reload};
use signals::{Signals, is_told};
pub(crate) use summary::counted;
pub use summary::{credential_summary, mirror_summary, size};

/// The daemon, from start to stop.
///
/// # Errors
/// Why it could not start.
pub async fn run(options: RunOptions) -> Result<(), StartError> {
    let (signals, mut force) = Signals::install()?;
    tokio::select! {
        ended = daemon(options, signals) => ended,
        // The second signal: at once.
        () = is_told(&mut force) => Ok(()),
    }
}

async fn daemon(options: RunOptions, signals: Signals) -> Result<(), StartError> {
    let loaded = syncd_config::load(&options.config_path).map_err(StartError::Config)?;
    (options.notify)(Notice::Warnings(&loaded.warnings));
    let Loaded { config, hash, .. } = loaded;
    let config = Arc::new(config);

    // Seen from outside from the first moment: alive, not ready.
    let mut frame = Frame::new(&options, Arc::clone(&config), signals);
    let Some(store) = frame.open(&options).await? else {
        return Ok(());
    };

    let context = build_clients(&config, &store, &options)?;
    frame.count(context.subscribe());
    let registry = frame.serve_registry(&store).await?;
    let socket = control::listen(&config.state_dir)?;
    (options.notify)(Notice::Ready(&config));

    let tasks = tasks::register(&options, &mut frame, &context);
    serve_commands(&mut frame, socket, tasks.commands);
    look_after(
        &options,
        &mut frame,
        store.clone(),
        hash,
        context,
        registry,
        tasks.followers,
    );

    frame.until_stopped(&store, &options).await;
    Ok(())
}

type Contexts = watch::Sender<Arc<Context>>;

fn build_clients(config: &Arc<Config>, store: &Layout, options: &RunOptions) -> Result<Contexts, StartError> {
    let context = Context::new(
        Arc::clone(config),
        Some(store.clone()),
        options.clock.clone(),
        options.cluster.clone(),
    );
    Ok(watch::channel(Arc::new(context.map_err(StartError::Client)?)).0)
}

fn serve_commands(frame: &mut Frame, socket: UnixListener, commands: control::Commands) {
    // A command waits for its pass as long as that takes.
    frame.serve(socket, control::router(frame.view.clone(), commands), None);
    let ready = |ready: &mut crate::status::Ready| ready.set("commands", true, "the control socket is open");
    frame.sources.ready.send_modify(ready);
}

fn look_after(
    options: &RunOptions,
    frame: &mut Frame,
    store: Layout,
    hash: syncd_config::Digest,
    context: Contexts,
    registry: Option<Arc<Registry>>,
    tasks: Vec<Follower>,
) {
    frame.spawn(upkeep::keep(store, frame.sources.ready.clone(), frame.stop()));
    let followers = Followers {
        context,
        tasks,
        registry,
        status: frame.sources.config.clone(),
    };
    let reload = Reload::new(options, hash, followers);
    frame.spawn(reload.watch(frame.hangup(), frame.stop()));
}
