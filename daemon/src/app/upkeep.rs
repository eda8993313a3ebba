//! Small things that must be done now and then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::signals::is_told;
use crate::context::flush_index;
use crate::oci::layout::Layout;
use crate::registry::Registry;
use crate::status::{Ready, Served, ServedCount};
use crate::telemetry::chain;

const EVERY: Duration = Duration::from_secs(1);

/// Looks after the store: writes derived index files in a quiet second, and takes the daemon out of
/// service when the disk has failed a sync.
pub(super) async fn keep(store: Layout, ready: watch::Sender<Ready>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_stale = false;
    let mut was_degraded = false;
    loop {
        tokio::select! {
            () = is_told(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let stale = store.index_is_stale();
        if stale
            && was_stale
            && let Err(error) = flush_index(&store).await
        {
            tracing::warn!(error = %chain(&error), "failed to write the index files of the store");
        }
        was_stale = stale;
        if store.is_degraded() && !was_degraded {
            was_degraded = true;
            tracing::error!("the disk failed a sync: the store refuses writes until syncd is started again");
            ready.send_modify(|ready| {
                ready.set(
                    "store",
                    false,
                    "the disk failed a sync: writes are refused; look at the disk, then start syncd again",
                );
            });
        }
    }
}

/// The embedded registry's counters.
pub(super) fn served(registry: &Registry) -> Served {
    let metrics = registry.metrics();
    let requests = metrics.requests().into_iter().map(|row| ServedCount {
        method: row.method,
        route: row.route,
        status: row.status,
        count: row.count,
    });
    Served {
        requests: requests.collect(),
        sent: metrics.bytes_served.load(Ordering::Relaxed),
        received: metrics.bytes_received.load(Ordering::Relaxed),
        connections: metrics.connections.load(Ordering::Relaxed),
    }
}
