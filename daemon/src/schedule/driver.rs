//! One tokio task that runs one [`Task`] whenever it is due or asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use syncd_providers::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tracing::{Instrument, error, info, info_span, warn};

use super::task::{Finished, Task};
use super::timetable::{Due, Timetable, back_off};
use crate::report::{Activation, LastRun, Outcome, TaskStatus};

/// A suspended machine must wake to the truth: nothing sleeps longer than this before it looks at
/// the wall clock again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How often a task ended how, since the daemon started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Runs that did everything.
    pub done: AtomicU64,
    /// Runs in which some things failed.
    pub partly: AtomicU64,
    /// Runs that could do nothing (panics among them).
    pub failed: AtomicU64,
    /// Runs that panicked.
    pub panics: AtomicU64,
    /// The end of the last run that did everything, in seconds of Unix time; 0 before.
    pub last_success: AtomicI64,
}

/// What others hold of a running driver. The driver ends when `stop` says so.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    status: watch::Receiver<TaskStatus>,
    counts: Arc<Counts>,
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
struct Request {
    why: Activation,
    done: Option<oneshot::Sender<LastRun>>,
}

impl TaskHandle {
    /// The task's state now.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        self.status.borrow().clone()
    }

    /// The task's state as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<TaskStatus> {
        self.status.clone()
    }

    /// How often it ended how.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Asks for a run that begins after this call; what is asked for during a run is one run after it.
    pub fn activate(&self, why: Activation) {
        if self.requests.send(Request { why, done: None }).is_err() {
            warn!("a task was activated while the daemon is stopping");
        }
    }

    /// As [`Self::activate`], and waits for the end of that run; `None` when the daemon stops first.
    pub async fn run_now(&self, why: Activation) -> Option<LastRun> {
        let (done, ended) = oneshot::channel();
        let request = Request {
            why,
            done: Some(done),
        };
        self.requests.send(request).ok()?;
        ended.await.ok()
    }
}

/// Starts the driver of `task`. `stop` turning true drops a run that goes on and ends the driver.
pub fn spawn(
    task: Arc<dyn Task>,
    timetable: watch::Receiver<Timetable>,
    clock: Clock,
    stop: watch::Receiver<bool>,
) -> (TaskHandle, JoinHandle<()>) {
    let (status, status_seen) = watch::channel(TaskStatus {
        name: task.name().to_owned(),
        running_since: None,
        next: None,
        last: None,
    });
    let (requests, inbox) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let handle = TaskHandle {
        status: status_seen,
        counts: Arc::clone(&counts),
        requests,
    };
    let driver = Driver {
        task,
        clock,
        status,
        counts,
        due: Due::default(),
        failures: 0,
        rng: fastrand::Rng::new(),
    };
    let join = tokio::spawn(driver.drive(timetable, inbox, stop));
    (handle, join)
}

struct Driver {
    task: Arc<dyn Task>,
    clock: Clock,
    status: watch::Sender<TaskStatus>,
    counts: Arc<Counts>,
    due: Due,
    failures: u32,
    rng: fastrand::Rng,
}

impl Driver {
    async fn drive(
        mut self,
        mut timetable: watch::Receiver<Timetable>,
        mut inbox: mpsc::UnboundedReceiver<Request>,
        mut stop: watch::Receiver<bool>,
    ) {
        let first = timetable.borrow_and_update().clone();
        let mut waiting = Vec::new();
        if first.at_start {
            waiting.push(Request {
                why: Activation::Start,
                done: None,
            });
        }
        self.due.set_table(first, self.clock.now());
        loop {
            while let Ok(request) = inbox.try_recv() {
                waiting.push(request);
            }
            let asked = waiting
                .iter()
                .map(|request| request.why)
                .min_by_key(|why| rank(*why));
            if let Some(why) = asked.or_else(|| self.due.due(self.clock.now())) {
                let Some(last) = self.run(why, &mut stop).await else {
                    return;
                };
                answer(&mut waiting, &last);
                continue;
            }
            self.status.send_modify(|status| status.next = self.due.next());
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(self.sleep()) => {}
                Ok(()) = timetable.changed() => {
                    let table = timetable.borrow_and_update().clone();
                    self.due.set_table(table, self.clock.now());
                }
                Some(request) = inbox.recv() => waiting.push(request),
            }
        }
    }

    fn sleep(&self) -> Duration {
        let Some(next) = self.due.next() else {
            return LONGEST_SLEEP;
        };
        let wait = next.duration_since(self.clock.now());
        // Never shorter than a millisecond: a due time that is not reached for a rounding error
        // must not turn into a busy loop.
        Duration::try_from(wait)
            .unwrap_or(Duration::ZERO)
            .clamp(Duration::from_millis(1), LONGEST_SLEEP)
    }

    /// One run, to its end; `None` when the daemon stops.
    async fn run(&mut self, why: Activation, stop: &mut watch::Receiver<bool>) -> Option<LastRun> {
        let started = self.clock.now();
        self.due.started(started);
        self.status.send_modify(|status| {
            status.running_since = Some(started);
            status.next = self.due.next();
        });
        let begun = Instant::now();
        let span = info_span!("task", task = self.task.name(), why = why.as_str());
        let task = Arc::clone(&self.task);
        let mut run = AbortOnDrop(tokio::spawn(async move { task.run(why).await }.instrument(span)));
        let finished = tokio::select! {
            finished = &mut run.0 => finished,
            () = stopped(stop) => {
                run.0.abort();
                // Waits until the run's future is dropped, so that nothing of it outlives the driver.
                let _gone = (&mut run.0).await;
                return None;
            }
        };
        let last = self.record(finished, started, begun.elapsed(), why);
        Some(last)
    }

    fn record(
        &mut self,
        finished: Result<Finished, JoinError>,
        started: Timestamp,
        took: Duration,
        why: Activation,
    ) -> LastRun {
        let now = self.clock.now();
        let finished = finished.unwrap_or_else(|failure| {
            self.counts.panics.fetch_add(1, Ordering::Relaxed);
            error!(task = self.task.name(), error = %failure, "a task panicked; the daemon goes on");
            Finished::failed("panic", "stopped by a bug in syncd (a panic); the log has it")
        });
        let counter = match finished.outcome {
            Outcome::Done => &self.counts.done,
            Outcome::Partly => &self.counts.partly,
            Outcome::Failed => &self.counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if finished.outcome == Outcome::Done {
            self.failures = 0;
            self.counts.last_success.store(now.as_second(), Ordering::Relaxed);
        } else {
            self.failures = self.failures.saturating_add(1);
            let wait = back_off(self.failures, &mut self.rng);
            self.due.retry_after(now, wait);
        }
        if let Some(at) = finished.again_at {
            self.due.again_at(now, at);
        }
        let last = LastRun {
            started,
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            why,
            outcome: finished.outcome,
            summary: finished.summary,
            error_kind: finished.error_kind,
        };
        info!(
            task = self.task.name(),
            why = why.as_str(),
            millis = last.millis,
            outcome = ?last.outcome,
            summary = %last.summary,
            "task ended"
        );
        self.status.send_modify(|status| {
            status.running_since = None;
            status.last = Some(last.clone());
            status.next = self.due.next();
        });
        last
    }
}

/// A run never outlives its driver, however the driver ends.
struct AbortOnDrop(JoinHandle<Finished>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Resolves when `stop` is true, or its sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}

fn answer(waiting: &mut Vec<Request>, last: &LastRun) {
    for request in waiting.drain(..) {
        if let Some(done) = request.done {
            // The asker may have gone; its run was worth doing all the same.
            let _gone = done.send(last.clone());
        }
    }
}

/// Of several reasons at once, the one that tells most is shown.
fn rank(why: Activation) -> u8 {
    match why {
        Activation::Hand => 0,
        Activation::Start => 1,
        Activation::Change => 2,
        Activation::Cron => 3,
        Activation::Period => 4,
        Activation::Due => 5,
        Activation::Retry => 6,
    }
}
