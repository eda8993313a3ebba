//! The driver in virtual time.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use syncd_providers::Clock;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Cron, Finished, Task, TaskHandle, Timetable, spawn};
use crate::report::{Activation, Outcome};

const HOUR: Duration = Duration::from_secs(3600);

/// Notes when it ran and why; does what `script` says.
struct Probe {
    clock: Clock,
    ran: Mutex<Vec<(Timestamp, Activation)>>,
    running: AtomicU32,
    takes: Duration,
    script: fn(usize) -> Finished,
}

impl Task for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn run(&self, why: Activation) -> BoxFuture<'_, Finished> {
        Box::pin(async move {
            assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "two runs at once");
            let count = {
                let mut ran = self.ran.lock().unwrap();
                ran.push((self.clock.now(), why));
                ran.len()
            };
            sleep(self.takes).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            (self.script)(count)
        })
    }
}

struct Bench {
    probe: Arc<Probe>,
    handle: TaskHandle,
    table: watch::Sender<Timetable>,
    stop: watch::Sender<bool>,
    join: tokio::task::JoinHandle<()>,
    moved: Arc<AtomicI64>,
    /// How often the clock was asked.
    reads: Arc<AtomicU32>,
}

impl Bench {
    fn start(table: Timetable, takes: Duration, script: fn(usize) -> Finished) -> Self {
        let moved = Arc::new(AtomicI64::new(0));
        let base = Clock::from_tokio(start());
        let offset = Arc::clone(&moved);
        let reads = Arc::new(AtomicU32::new(0));
        let read = Arc::clone(&reads);
        let clock = Clock::new(move || {
            read.fetch_add(1, Ordering::SeqCst);
            base.now() + SignedDuration::from_secs(offset.load(Ordering::SeqCst))
        });
        let probe = Arc::new(Probe {
            clock: clock.clone(),
            ran: Mutex::default(),
            running: AtomicU32::new(0),
            takes,
            script,
        });
        let (table, seen) = watch::channel(table);
        let (stop, stopping) = watch::channel(false);
        let task: Arc<dyn Task> = Arc::<Probe>::clone(&probe);
        let (handle, join) = spawn(task, seen, clock, stopping);
        Self {
            probe,
            handle,
            table,
            stop,
            join,
            moved,
            reads,
        }
    }

    fn ran(&self) -> Vec<(String, Activation)> {
        let ran = self.probe.ran.lock().unwrap();
        ran.iter()
            .map(|(when, why)| (when.strftime("%d %H:%M").to_string(), *why))
            .collect()
    }

    fn count(&self) -> usize {
        self.probe.ran.lock().unwrap().len()
    }
}

fn start() -> Timestamp {
    "2026-03-10T10:20:00Z".parse().unwrap()
}

fn done(_: usize) -> Finished {
    Finished::done("ok")
}

/// Fires at the beginning of every `hours`th hour.
fn every(hours: i64) -> Cron {
    Arc::new(move |after| {
        let step = hours * 3600;
        Timestamp::from_second((after.as_second().div_euclid(step) + 1) * step).ok()
    })
}

fn cron(hours: i64) -> Timetable {
    Timetable {
        cron: Some(every(hours)),
        ..Timetable::default()
    }
}

fn at_start() -> Timetable {
    Timetable {
        at_start: true,
        ..Timetable::default()
    }
}

#[tokio::test(start_paused = true)]
async fn start_and_cron_fire_at_their_times() {
    let table = Timetable {
        at_start: true,
        ..cron(6)
    };
    let bench = Bench::start(table, Duration::from_secs(30), done);
    sleep(24 * HOUR).await;
    let expected = [
        ("10 10:20", Activation::Start),
        ("10 12:00", Activation::Cron),
        ("10 18:00", Activation::Cron),
        ("11 00:00", Activation::Cron),
        ("11 06:00", Activation::Cron),
    ];
    assert_eq!(bench.ran(), expected.map(|(when, why)| (when.to_owned(), why)));
    let status = bench.handle.status();
    assert_eq!(status.next, Some("2026-03-11T12:00:00Z".parse().unwrap()));
    assert_eq!(status.running_since, None);
    assert_eq!(status.last.unwrap().millis, 30_000);
}

#[tokio::test(start_paused = true)]
async fn a_period_counts_from_the_beginning_of_a_run() {
    let table = Timetable {
        period: Some(HOUR),
        ..Timetable::default()
    };
    let bench = Bench::start(table, Duration::from_secs(600), done);
    sleep(HOUR * 3 + Duration::from_secs(60)).await;
    let when: Vec<_> = bench.ran().into_iter().map(|(when, _)| when).collect();
    assert_eq!(when, ["10 11:20", "10 12:20", "10 13:20"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_its_period_never_overlaps_and_never_piles_up() {
    // The probe itself asserts that no two runs overlap.
    let bench = Bench::start(cron(1), 2 * HOUR + Duration::from_secs(1800), done);
    sleep(12 * HOUR).await;
    assert_eq!(bench.count(), 4, "{:?}", bench.ran());
}

#[tokio::test(start_paused = true)]
async fn changes_during_a_run_are_one_run_after_it() {
    let bench = Bench::start(at_start(), Duration::from_secs(60), done);
    sleep(Duration::from_secs(10)).await;
    for _ in 0..50 {
        bench.handle.activate(Activation::Change);
    }
    sleep(HOUR).await;
    let why: Vec<_> = bench.ran().into_iter().map(|(_, why)| why).collect();
    assert_eq!(why, [Activation::Start, Activation::Change]);
}

#[tokio::test(start_paused = true)]
async fn a_run_by_hand_is_one_that_begins_after_the_asking() {
    let bench = Bench::start(at_start(), Duration::from_secs(60), done);
    sleep(Duration::from_secs(10)).await;
    let asked = start() + SignedDuration::from_secs(10);
    let last = bench.handle.run_now(Activation::Hand).await.unwrap();
    assert!(last.started >= asked);
    assert_eq!(last.why, Activation::Hand);
    assert_eq!(bench.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn failure_comes_back_after_a_growing_wait_until_it_works() {
    let bench = Bench::start(at_start(), Duration::from_secs(1), |run| {
        if run < 4 {
            Finished::failed("dns", "no")
        } else {
            Finished::done("ok")
        }
    });
    sleep(24 * HOUR).await;
    let why: Vec<_> = bench.ran().into_iter().map(|(_, why)| why).collect();
    assert_eq!(
        why,
        [
            Activation::Start,
            Activation::Retry,
            Activation::Retry,
            Activation::Retry
        ]
    );
    assert_eq!(bench.handle.status().next, None);
    assert_eq!(bench.handle.counts().failed.load(Ordering::SeqCst), 3);
    assert_eq!(bench.handle.counts().done.load(Ordering::SeqCst), 1);
}

/// Done, and due again ten minutes after each of the first three runs ended.
fn due_again(run: usize) -> Finished {
    let at = start() + SignedDuration::from_mins(10 * i64::try_from(run).unwrap());
    Finished {
        again_at: (run < 4).then_some(at),
        ..Finished::done("ok")
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_says_when_the_next_one_is_due() {
    let bench = Bench::start(at_start(), Duration::from_secs(5), due_again);
    sleep(Duration::from_secs(60)).await;
    let status = bench.handle.status();
    assert_eq!(status.next, Some(start() + SignedDuration::from_mins(10)));
    sleep(2 * HOUR).await;
    let expected = [
        ("10 10:20", Activation::Start),
        ("10 10:30", Activation::Due),
        ("10 10:40", Activation::Due),
        ("10 10:50", Activation::Due),
    ];
    assert_eq!(bench.ran(), expected.map(|(when, why)| (when.to_owned(), why)));
    assert_eq!(bench.handle.status().next, None);
}

#[tokio::test(start_paused = true)]
async fn a_run_in_between_replaces_what_was_due() {
    let bench = Bench::start(at_start(), Duration::from_secs(5), due_again);
    sleep(Duration::from_secs(60)).await;
    bench.handle.run_now(Activation::Hand).await.unwrap();
    // The second run said 10:40.
    assert_eq!(
        bench.handle.status().next,
        Some(start() + SignedDuration::from_mins(20))
    );
    sleep(Duration::from_secs(15 * 60)).await;
    assert_eq!(bench.count(), 2, "{:?}", bench.ran());
}

#[tokio::test(start_paused = true)]
async fn what_is_due_at_once_is_no_busy_loop() {
    let bench = Bench::start(at_start(), Duration::from_millis(1), |_| Finished {
        again_at: Some(start()),
        ..Finished::done("ok")
    });
    sleep(Duration::from_secs(60)).await;
    assert!((5..=7).contains(&bench.count()), "{:?}", bench.ran());
}

#[tokio::test(start_paused = true)]
async fn what_is_due_follows_a_clock_that_is_set_back() {
    let bench = Bench::start(at_start(), Duration::from_secs(5), due_again);
    sleep(Duration::from_secs(60)).await;
    bench.moved.fetch_sub(48 * 3600, Ordering::SeqCst);
    sleep(Duration::from_secs(15 * 60)).await;
    assert_eq!(bench.ran()[1], ("08 10:31".to_owned(), Activation::Due));
}

#[test]
fn the_wait_is_random_under_a_ceiling_from_5_minutes_to_1_hour() {
    let minutes: Vec<_> = (0..8)
        .map(|n| super::timetable::ceiling(n).as_secs() / 60)
        .collect();
    assert_eq!(minutes, [5, 5, 10, 20, 40, 60, 60, 60]);
    let mut rng = fastrand::Rng::with_seed(7);
    let waits: Vec<_> = (0..1000)
        .map(|_| super::timetable::back_off(3, &mut rng))
        .collect();
    assert!(waits.iter().all(|wait| (10..=1200).contains(&wait.as_secs())));
    assert!(waits.iter().any(|wait| wait.as_secs() < 200) && waits.iter().any(|wait| wait.as_secs() > 1000));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_run_and_not_the_daemon() {
    let bench = Bench::start(at_start(), Duration::from_secs(1), |run| {
        assert!(run > 1, "the first run panics");
        Finished::done("ok")
    });
    sleep(Duration::from_secs(5)).await;
    let last = bench.handle.status().last.unwrap();
    assert_eq!(last.outcome, Outcome::Failed);
    assert_eq!(last.error_kind.as_deref(), Some("panic"));
    assert_eq!(bench.handle.counts().panics.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_timetable_counts_at_once_and_runs_nothing_by_itself() {
    let bench = Bench::start(cron(6), Duration::from_secs(1), done);
    sleep(Duration::from_secs(60)).await;
    bench.table.send_replace(cron(1));
    sleep(HOUR).await;
    assert_eq!(bench.ran(), [("10 11:00".to_owned(), Activation::Cron)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_fires_once() {
    let bench = Bench::start(cron(1), Duration::from_secs(1), done);
    sleep(Duration::from_secs(90)).await;
    bench.moved.fetch_add(48 * 3600, Ordering::SeqCst);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(bench.ran(), [("12 10:22".to_owned(), Activation::Cron)]);
    sleep(HOUR).await;
    assert_eq!(bench.ran()[1..], [("12 11:00".to_owned(), Activation::Cron)]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_follows_the_new_time() {
    let table = Timetable {
        period: Some(12 * HOUR),
        ..cron(1)
    };
    let bench = Bench::start(table, Duration::from_secs(1), done);
    sleep(Duration::from_secs(60)).await;
    bench.moved.fetch_sub(48 * 3600, Ordering::SeqCst);
    sleep(2 * HOUR).await;
    let when: Vec<_> = bench.ran().into_iter().map(|(when, _)| when).collect();
    assert_eq!(when, ["08 11:00", "08 12:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_small_correction_does_not_fire_twice() {
    let bench = Bench::start(cron(1), Duration::from_secs(1), done);
    sleep(Duration::from_secs(40 * 60 + 1)).await;
    assert_eq!(bench.count(), 1);
    bench.moved.fetch_sub(5, Ordering::SeqCst);
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(bench.count(), 1, "{:?}", bench.ran());
}

#[tokio::test(start_paused = true)]
async fn nothing_loops_while_the_clock_jumps_about() {
    let bench = Bench::start(cron(24), Duration::from_secs(1), done);
    for jump in [48, -48, 48, -96, 48] {
        bench.moved.fetch_add(jump * 3600, Ordering::SeqCst);
        sleep(Duration::from_secs(600)).await;
    }
    assert!(bench.count() <= 3, "{:?}", bench.ran());
    // 50 minutes, looked at once a minute with a few questions each.
    let reads = bench.reads.load(Ordering::SeqCst);
    assert!(reads < 300, "the clock was asked {reads} times");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_wakes_to_the_truth_within_a_minute() {
    // Suspended: the wall clock goes on, the timers do not.
    let bench = Bench::start(cron(24), Duration::from_secs(1), done);
    sleep(Duration::from_secs(5)).await;
    bench.moved.fetch_add(20 * 3600, Ordering::SeqCst);
    sleep(Duration::from_secs(61)).await;
    assert_eq!(bench.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn stop_drops_the_run_and_ends_the_driver() {
    let bench = Bench::start(at_start(), 5 * HOUR, done);
    sleep(Duration::from_secs(5)).await;
    bench.stop.send_replace(true);
    bench.join.await.unwrap();
    assert_eq!(bench.handle.status().last, None);
    assert!(bench.handle.run_now(Activation::Hand).await.is_none());
}
