//! The store's lock: one writer a store, a second daemon waits for a while.

use std::time::Duration;

use syncd_config::Config;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::signals::is_told;
use super::{Notice, RunOptions, StartError};
use crate::context::{own_store, store_dir};
use crate::oci::layout::Layout;
use crate::oci::{ErrorKind, RegistryError};
use crate::status::ViewSources;

const AGAIN: Duration = Duration::from_millis(250);

/// Opens the store, waiting as long as the options say for its holder; `None` when told to stop.
pub(super) async fn acquire(
    config: &Config,
    options: &RunOptions,
    sources: &ViewSources,
    mut stop: watch::Receiver<bool>,
) -> Result<Option<Layout>, StartError> {
    let deadline = Instant::now() + options.lock_wait;
    let mut told = false;
    loop {
        match open(config).await {
            Ok(store) => {
                let place = store_dir(config).display().to_string();
                sources.ready.send_modify(|ready| ready.set("store", true, place));
                return Ok(Some(store));
            }
            Err(error) if error.kind() == ErrorKind::Locked && Instant::now() < deadline => {
                if !told {
                    told = true;
                    (options.notify)(Notice::Waiting(&error.detail));
                    sources
                        .ready
                        .send_modify(|ready| ready.set("store", false, error.detail.clone()));
                }
            }
            Err(error) => return Err(StartError::Store(error)),
        }
        tokio::select! {
            () = is_told(&mut stop) => return Ok(None),
            () = sleep(AGAIN) => {}
        }
    }
}

/// Opening sweeps the store, which may take a while on a large one.
async fn open(config: &Config) -> Result<Layout, RegistryError> {
    let config = config.clone();
    match tokio::task::spawn_blocking(move || own_store(&config)).await {
        Ok(opened) => opened,
        Err(error) => Err(RegistryError::new(ErrorKind::Io, "the store", "open it").caused_by(error)),
    }
}
