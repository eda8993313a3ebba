//! When a task is due: pure decisions over wall-clock values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::report::Activation;

/// The first time strictly after the given one at which a cron expression fires.
pub type Cron = Arc<dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync>;

/// When a task runs without being asked.
#[derive(Clone, Default)]
pub struct Timetable {
    /// Once when the daemon starts.
    pub at_start: bool,
    /// At the times of a cron expression.
    pub cron: Option<Cron>,
    /// This long after the last run began.
    pub period: Option<Duration>,
}

impl fmt::Debug for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timetable")
            .field("at_start", &self.at_start)
            .field("cron", &self.cron.is_some())
            .field("period", &self.period)
            .finish()
    }
}

/// The ceilings of the wait after failed runs: they double from the first to the second.
pub(super) const FIRST_CEILING: Duration = Duration::from_secs(5 * 60);
pub(super) const LAST_CEILING: Duration = Duration::from_secs(60 * 60);
const SHORTEST_WAIT: Duration = Duration::from_secs(10);

/// A clock set back by less than this is a correction, not another day: what already fired in that
/// span does not fire again.
const CORRECTION: SignedDuration = SignedDuration::from_mins(10);

/// The longest wait after `failures` failed runs in a row.
pub(super) fn ceiling(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    (FIRST_CEILING * (1 << doublings)).min(LAST_CEILING)
}

/// A random wait under the ceiling ("full jitter": daemons that failed together come back apart).
pub(super) fn back_off(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    ceiling(failures).mul_f64(rng.f64()).max(SHORTEST_WAIT)
}

/// The due times of one task.
#[derive(Debug, Default)]
pub(super) struct Due {
    table: Timetable,
    cron: Option<Timestamp>,
    period: Option<Timestamp>,
    retry: Option<Timestamp>,
    retry_ceiling: Duration,
    again: Option<Timestamp>,
    again_ceiling: Duration,
    last_cron: Option<Timestamp>,
}

impl Due {
    /// Takes a (new) timetable.
    pub(super) fn set_table(&mut self, table: Timetable, now: Timestamp) {
        self.cron = table.cron.as_ref().and_then(|next| next(now));
        self.period = table.period.map(|period| later(now, period));
        self.table = table;
    }

    /// A run begins for reason `why`: what was due until now is served by it.
    pub(super) fn started(&mut self, now: Timestamp) {
        if let Some(due) = self.cron.filter(|due| *due <= now) {
            self.last_cron = Some(due);
            self.cron = None;
        }
        self.retry = None;
        self.again = None;
        self.period = self.table.period.map(|period| later(now, period));
    }

    /// The last run failed: come back after `wait`.
    pub(super) fn retry_after(&mut self, now: Timestamp, wait: Duration) {
        self.retry = Some(later(now, wait));
        self.retry_ceiling = wait;
    }

    /// The last run said when the next one is due. One that is due at once would turn a mistake in
    /// its reckoning into a busy loop.
    pub(super) fn again_at(&mut self, now: Timestamp, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        self.again_ceiling = wait.max(SHORTEST_WAIT);
        self.again = Some(later(now, self.again_ceiling));
    }

    /// What is due now, if anything. First puts right what a moved clock has put wrong.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Activation> {
        self.adjust(now);
        let reached = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        if reached(self.cron) {
            Some(Activation::Cron)
        } else if reached(self.period) {
            Some(Activation::Period)
        } else if reached(self.again) {
            Some(Activation::Due)
        } else if reached(self.retry) {
            Some(Activation::Retry)
        } else {
            None
        }
    }

    /// The earliest due time.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let all = [self.cron, self.period, self.again, self.retry];
        all.into_iter().flatten().min()
    }

    /// A clock that was set back must not leave a task waiting for a day that is gone: a due time
    /// is never further away than it would be if it were worked out now.
    fn adjust(&mut self, now: Timestamp) {
        if let Some(next) = &self.table.cron {
            let from = match self.last_cron {
                Some(last) if last > now && last.duration_since(now) <= CORRECTION => last,
                _ => now,
            };
            self.cron = earlier(self.cron, next(from));
        }
        let fresh = self.table.period.map(|period| later(now, period));
        self.period = earlier(self.period, fresh);
        if self.retry.is_some() {
            self.retry = earlier(self.retry, Some(later(now, self.retry_ceiling)));
        }
        if self.again.is_some() {
            self.again = earlier(self.again, Some(later(now, self.again_ceiling)));
        }
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| now.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}
