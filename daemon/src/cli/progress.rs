//! The course of a long copy: bars on a terminal, a line a finished image elsewhere.
//!
//! Everything goes to standard error.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

use super::Session;
use super::output::Talk;
use crate::app::size;
use crate::mirror::{Progress, Silent};
use crate::report::{ImageOutcome, ImageReport};

/// In a log, silence of a minute looks like a hang.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Room for a name beside a bar and its numbers in 80 columns.
const NAME: usize = 36;

/// What this session wants to see.
pub(super) fn new(session: &Session) -> Arc<dyn Progress> {
    if !session.progress {
        Arc::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Arc::new(Bars::new())
    } else {
        Arc::new(Lines::new(session.talk))
    }
}

/// A bar for each image that is being copied, over a line with the count of finished ones.
struct Bars {
    all: MultiProgress,
    count: ProgressBar,
    bars: Mutex<HashMap<usize, ProgressBar>>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let count = all.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} images, {elapsed}") {
            count.set_style(style);
        }
        count.enable_steady_tick(Duration::from_secs(1));
        Self {
            all,
            count,
            bars: Mutex::default(),
        }
    }

    fn with(&self, index: usize, action: impl FnOnce(&ProgressBar)) {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.get(&index) {
            action(bar);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.count.finish_and_clear();
    }
}

impl Progress for Bars {
    fn pass_started(&self, images: usize) {
        self.count.set_length(u64::try_from(images).unwrap_or(u64::MAX));
    }

    fn image_started(&self, index: usize, _source: &str, destination: &str) {
        let bar = ProgressBar::new(0).with_prefix(fit(destination, NAME));
        let form = "{prefix:36} [{bar:16}] {decimal_bytes:>10}/{decimal_total_bytes:10}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.insert(index, self.all.insert_before(&self.count, bar));
    }

    fn image_sized(&self, index: usize, bytes: u64) {
        self.with(index, |bar| bar.set_length(bytes));
    }

    fn image_advanced(&self, index: usize, bytes: u64) {
        self.with(index, |bar| bar.inc(bytes));
    }

    fn image_finished(&self, index: usize, _report: &ImageReport) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(&index) {
            bar.finish_and_clear();
        }
        self.count.inc(1);
    }
}

/// The end of a name tells more than its beginning.
fn fit(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - width + 1).collect();
    format!("…{end}")
}

/// A line for each finished image, and a sign of life in between.
struct Lines {
    talk: Talk,
    counts: Arc<Counts>,
    heartbeat: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    images: AtomicUsize,
    done: AtomicUsize,
    bytes: AtomicU64,
}

impl Lines {
    fn new(talk: Talk) -> Self {
        let counts = Arc::new(Counts::default());
        let beat = Arc::clone(&counts);
        let heartbeat = tokio::spawn(async move {
            let mut ticks = interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                talk.say(&beat.text());
            }
        });
        Self {
            talk,
            counts,
            heartbeat,
        }
    }
}

impl Counts {
    fn text(&self) -> String {
        format!(
            "still working: {} of {} images done, {} so far",
            self.done.load(Ordering::Relaxed),
            self.images.load(Ordering::Relaxed),
            size(self.bytes.load(Ordering::Relaxed)),
        )
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

impl Progress for Lines {
    fn pass_started(&self, images: usize) {
        self.counts.images.store(images, Ordering::Relaxed);
    }

    fn image_advanced(&self, _index: usize, bytes: u64) {
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn image_finished(&self, _index: usize, report: &ImageReport) {
        let done = self.counts.done.fetch_add(1, Ordering::Relaxed) + 1;
        let images = self.counts.images.load(Ordering::Relaxed);
        let what = match report.outcome {
            ImageOutcome::Copied => "copied",
            ImageOutcome::Present => "present",
            ImageOutcome::Skipped => "to copy",
            ImageOutcome::Failed => "FAILED",
        };
        self.talk
            .say(&format!("[{done}/{images}] {what:<8}{}", report.destination));
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, fit};

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(fit("h.example/a:1", 36), "h.example/a:1");
        assert_eq!(fit("registry.example/team/app:1.2.3", 12), "…m/app:1.2.3");
    }

    #[test]
    fn a_sign_of_life_tells_how_far_it_is() {
        assert_eq!(
            Counts::default().text(),
            "still working: 0 of 0 images done, 0 B so far"
        );
    }
}
