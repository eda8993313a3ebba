//! The mirror as a scheduled task, and as what a command asks for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use syncd_config::Config;
use tokio::sync::watch;

use super::{Notice, Notify, mirror_summary};
use crate::context::Context;
use crate::control::{SyncMirror, SyncRequest, VerifyLevel};
use crate::mirror::{PassOptions, Silent, Verify};
use crate::report::{Activation, ImageOutcome, MirrorReport, Outcome};
use crate::schedule::{Finished, Task, TaskHandle, Timetable};

type Reports = watch::Sender<Option<Arc<MirrorReport>>>;

/// When the mirror runs by itself.
pub(super) fn timetable(config: &Config) -> Timetable {
    let Some(mirror) = &config.mirror else {
        return Timetable::default();
    };
    let schedule = mirror.schedule.clone();
    Timetable {
        at_start: true,
        cron: schedule.map(|schedule| -> crate::schedule::Cron {
            Arc::new(move |after| schedule.cron.next_after(after, &schedule.time_zone))
        }),
        period: None,
    }
}

/// The mirror's task. It takes the configuration as it is when a run begins.
pub(super) struct MirrorTask {
    contexts: watch::Receiver<Arc<Context>>,
    reports: Reports,
    /// How many passes have ended.
    ended: watch::Sender<u64>,
    notify: Notify,
    first: AtomicBool,
    /// The deepest verification asked for since the last run began.
    verify: Mutex<VerifyLevel>,
}

impl MirrorTask {
    pub(super) fn new(
        contexts: watch::Receiver<Arc<Context>>,
        reports: Reports,
        ended: watch::Sender<u64>,
        notify: Notify,
    ) -> Self {
        Self {
            contexts,
            reports,
            ended,
            notify,
            first: AtomicBool::new(true),
            verify: Mutex::default(),
        }
    }

    fn context(&self) -> Arc<Context> {
        Arc::clone(&self.contexts.borrow())
    }

    /// What the control socket calls. A dry run changes nothing and so needs no turn; a real one
    /// is a run of the task like any other.
    pub(super) fn by_hand(self: &Arc<Self>, handle: TaskHandle) -> SyncMirror {
        let task = Arc::clone(self);
        Arc::new(move |request| {
            let (task, handle) = (Arc::clone(&task), handle.clone());
            Box::pin(async move { task.asked(request, &handle).await })
        })
    }

    async fn asked(&self, request: SyncRequest, handle: &TaskHandle) -> Result<MirrorReport, String> {
        let context = self.context();
        if context.config.mirror.is_none() {
            return Err("its configuration has no `mirror`".to_owned());
        }
        if request.dry_run {
            return Ok(context
                .mirror_pass(options(true, request.verify), Arc::new(Silent))
                .await);
        }
        {
            let mut verify = self.verify.lock().unwrap_or_else(PoisonError::into_inner);
            *verify = request.verify.max(*verify);
        }
        let Some(last) = handle.run_now(Activation::Hand).await else {
            return Err("it is stopping".to_owned());
        };
        let report = self.reports.borrow().clone();
        match report {
            Some(report) if last.error_kind.as_deref() != Some("panic") => Ok((*report).clone()),
            _ => Err(last.summary),
        }
    }

    async fn pass(&self, why: Activation) -> Finished {
        let context = self.context();
        if context.config.mirror.is_none() {
            return Finished::done("nothing to mirror is configured");
        }
        let verify = std::mem::take(&mut *self.verify.lock().unwrap_or_else(PoisonError::into_inner));
        let report = context
            .mirror_pass(options(false, verify), Arc::new(Silent))
            .await;
        let finished = judge(&report);
        let report = Arc::new(report);
        self.reports.send_replace(Some(Arc::clone(&report)));
        if self.first.swap(false, Ordering::Relaxed) {
            (self.notify)(Notice::FirstPass(&context.config, &report));
        } else {
            (self.notify)(Notice::Pass(why, &report));
        }
        self.ended.send_modify(|count| *count += 1);
        finished
    }
}

impl Task for MirrorTask {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn run(&self, why: Activation) -> BoxFuture<'_, Finished> {
        Box::pin(self.pass(why))
    }
}

/// The words of the socket in those of the mirror.
#[must_use]
pub fn options(dry_run: bool, verify: VerifyLevel) -> PassOptions {
    let verify = match verify {
        VerifyLevel::Touch => Verify::Touch,
        VerifyLevel::Full => Verify::Full,
    };
    PassOptions { dry_run, verify }
}

/// How a pass ended, as a task.
fn judge(report: &MirrorReport) -> Finished {
    let failed = |image: &&crate::report::ImageReport| image.outcome == ImageOutcome::Failed;
    let failures = report.images.iter().filter(failed).count();
    let first = report.images.iter().find(failed);
    let outcome = match failures {
        0 => Outcome::Done,
        all if all == report.images.len() => Outcome::Failed,
        _ => Outcome::Partly,
    };
    Finished {
        outcome,
        summary: mirror_summary(report),
        error_kind: first.map(|image| match &image.error {
            Some(error) => error.kind.clone(),
            None => "unknown".to_owned(),
        }),
        again_at: None,
    }
}
