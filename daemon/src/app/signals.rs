//! SIGTERM and SIGINT stop the daemon, a second one at once; SIGHUP reads the configuration again.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::StartError;

/// What the signals have said so far.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// True from the first SIGTERM or SIGINT on.
    pub(super) stop: watch::Receiver<bool>,
    /// Counts SIGHUPs.
    pub(super) hangup: watch::Receiver<u64>,
}

impl Signals {
    /// Starts to listen; the second value turns true at the second signal to stop.
    pub(super) fn install() -> Result<(Self, watch::Receiver<bool>), StartError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
        let mut hup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
        let (stop, stopping) = watch::channel(false);
        let (force, forcing) = watch::channel(false);
        let (hangup, hangups) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hup.recv() => {
                        hangup.send_modify(|count| *count += 1);
                        continue;
                    }
                }
                if stop.send_replace(true) {
                    force.send_replace(true);
                }
            }
        });
        let signals = Self {
            stop: stopping,
            hangup: hangups,
        };
        Ok((signals, forcing))
    }
}

/// Resolves when `told` is true, or its sender is gone. Keeps no hold on the channel: a held
/// `watch::Ref` would block the next signal.
pub(super) async fn is_told(told: &mut watch::Receiver<bool>) {
    let _gone = told.wait_for(|told| *told).await.is_err();
}
