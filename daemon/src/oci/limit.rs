//! How hard one registry is used: connections at once, pauses it asks for, and a budget of retries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Retries that may be saved up, what a minute and a request add.
const BUDGET: f64 = 20.0;
const BUDGET_A_MINUTE: f64 = 10.0;
const BUDGET_A_REQUEST: f64 = 0.1;

/// The limits of one registry. Halves the connections when the registry says "too many requests"
/// and gives one back for every round of good answers.
pub(crate) struct Gate {
    state: Mutex<State>,
    freed: Notify,
    most: u16,
    /// One for all gates of a registry.
    paused_until: Arc<Mutex<Option<Instant>>>,
}

struct State {
    in_use: u16,
    allowed: u16,
    good: u16,
    budget: f64,
    budget_at: Instant,
}

/// The right to one connection, given back when dropped.
pub(crate) struct Permit(Arc<Gate>);

impl Gate {
    /// The two gates of one registry. Reads are counted apart from writes because a copy holds the
    /// connection that it reads from while it waits for one to write to.
    pub(crate) fn pair(connections: u16) -> (Arc<Self>, Arc<Self>) {
        let reads = Self::new(connections);
        let writes = Self::pausing(connections, reads.paused_until.clone());
        (reads, writes)
    }

    /// A gate of its own.
    pub(crate) fn new(connections: u16) -> Arc<Self> {
        Self::pausing(connections, Arc::default())
    }

    fn pausing(connections: u16, paused_until: Arc<Mutex<Option<Instant>>>) -> Arc<Self> {
        let most = connections.max(1);
        Arc::new(Self {
            state: Mutex::new(State {
                in_use: 0,
                allowed: most,
                good: 0,
                budget: BUDGET_A_MINUTE,
                budget_at: Instant::now(),
            }),
            freed: Notify::new(),
            most,
            paused_until,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free connection.
    pub(crate) async fn enter(self: &Arc<Self>) -> Permit {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.in_use < state.allowed {
                    state.in_use += 1;
                    return Permit(self.clone());
                }
            }
            freed.await;
        }
    }

    /// Takes a connection without waiting, beyond the limit if need be: for who holds another one
    /// that others wait for.
    pub(crate) fn enter_now(self: &Arc<Self>) -> Permit {
        self.state().in_use += 1;
        Permit(self.clone())
    }

    /// A good answer came.
    pub(crate) fn good(&self) {
        let mut state = self.state();
        state.budget = (state.budget + BUDGET_A_REQUEST).min(BUDGET);
        if state.allowed < self.most {
            state.good += 1;
            if state.good >= state.allowed {
                state.good = 0;
                state.allowed += 1;
                self.freed.notify_one();
            }
        }
    }

    /// The registry said that we ask too much; nobody asks before `pause` is over.
    pub(crate) fn too_many(&self, pause: Option<Duration>) {
        let mut state = self.state();
        state.allowed = (state.allowed / 2).max(1);
        state.good = 0;
        drop(state);
        if let Some(pause) = pause {
            let until = Instant::now() + pause;
            let mut paused_until = self.paused_until();
            *paused_until = Some(paused_until.map_or(until, |before| before.max(until)));
        }
    }

    /// How long the registry still wants to be left alone.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let until = (*self.paused_until())?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Whether one more retry is within the budget; takes it from there.
    pub(crate) fn may_retry(&self) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let minutes = now.saturating_duration_since(state.budget_at).as_secs_f64() / 60.0;
        state.budget = (state.budget + minutes * BUDGET_A_MINUTE).min(BUDGET);
        state.budget_at = now;
        // Tenths add up to a little less than they should.
        if state.budget < 1.0 - 1e-6 {
            return false;
        }
        state.budget -= 1.0;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_use -= 1;
        drop(state);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::Gate;

    #[tokio::test(start_paused = true)]
    async fn lets_in_as_many_as_allowed() {
        let gate = Gate::pair(2).0;
        let first = gate.enter().await;
        let _second = gate.enter().await;
        assert!(gate.enter().now_or_never().is_none());
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let _third = waiting.await.unwrap();
        assert!(gate.enter().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn reads_and_writes_wait_apart_and_pause_together() {
        let (reads, writes) = Gate::pair(1);
        let held = reads.enter().await;
        assert!(reads.enter().now_or_never().is_none());
        let _write = writes.enter().now_or_never().unwrap();
        let beyond = reads.enter_now();
        drop(held);
        assert!(
            reads.enter().now_or_never().is_none(),
            "one beyond the limit counts as well"
        );
        drop(beyond);
        assert!(reads.enter().now_or_never().is_some());
        reads.too_many(Some(Duration::from_secs(5)));
        assert_eq!(writes.pause(), Some(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn halves_and_recovers() {
        let gate = Gate::pair(4).0;
        gate.too_many(None);
        let permits = [gate.enter().await, gate.enter().await];
        assert!(gate.enter().now_or_never().is_none());
        gate.good();
        assert!(gate.enter().now_or_never().is_none());
        gate.good();
        let third = gate.enter().now_or_never();
        assert!(third.is_some() && gate.enter().now_or_never().is_none());
        drop(permits);
        for _ in 0..5 {
            gate.too_many(None);
        }
        drop(third);
        let _one = gate.enter().await;
        assert!(gate.enter().now_or_never().is_none());
        for _ in 0..100 {
            gate.good();
        }
        let _all = [gate.enter().await, gate.enter().await, gate.enter().await];
        assert!(gate.enter().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_longest_pause() {
        let gate = Gate::pair(4).0;
        assert_eq!(gate.pause(), None);
        gate.too_many(Some(Duration::from_secs(10)));
        gate.too_many(Some(Duration::from_secs(3)));
        assert_eq!(gate.pause(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(gate.pause(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_runs_out_and_fills_up() {
        let gate = Gate::pair(4).0;
        let taken = (0..100).filter(|_| gate.may_retry()).count();
        assert_eq!(taken, 10);
        for _ in 0..10 {
            gate.good();
        }
        assert!(gate.may_retry() && !gate.may_retry());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((0..100).filter(|_| gate.may_retry()).count(), 10);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!((0..100).filter(|_| gate.may_retry()).count(), 20);
    }
}
