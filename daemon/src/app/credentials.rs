//! The credentials as a scheduled task, and as what a command asks for.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use syncd_config::Config;
use syncd_config::config::Destination;
use syncd_providers::Clock;
use tokio::sync::watch;

use super::signals::is_told;
use super::{Notice, Notify, credential_summary};
use crate::context::{Context, own_entries};
use crate::control::{CredentialRequest, SyncCredentials};
use crate::credentials::{PassOptions, next_due};
use crate::report::{
    Activation, CredentialReport, CredentialResult, Outcome, RegistryCredential, TargetOutcome,
};
use crate::schedule::{Finished, Task, TaskHandle, Timetable};

type Reports = watch::Sender<Option<Arc<CredentialReport>>>;

/// When credentials are kept without being asked: at the start, at the configured times, and when
/// the last pass said that the next one is useful.
pub(super) fn timetable(config: &Config) -> Timetable {
    let Some(credentials) = &config.credentials else {
        return Timetable::default();
    };
    let schedule = credentials.schedule.clone();
    Timetable {
        at_start: true,
        cron: schedule.map(|schedule| -> crate::schedule::Cron {
            Arc::new(move |after| schedule.cron.next_after(after, &schedule.time_zone))
        }),
        period: None,
    }
}

/// The credentials' task. It takes the configuration as it is when a run begins.
pub(super) struct CredentialTask {
    contexts: watch::Receiver<Arc<Context>>,
    reports: Reports,
    /// How many mirror passes have ended.
    mirrored: watch::Receiver<u64>,
    notify: Notify,
    clock: Clock,
    /// What was asked for since the last run began.
    asked: Mutex<PassOptions>,
}

impl CredentialTask {
    pub(super) fn new(
        contexts: watch::Receiver<Arc<Context>>,
        reports: Reports,
        mirrored: watch::Receiver<u64>,
        notify: Notify,
        clock: Clock,
    ) -> Self {
        Self {
            contexts,
            reports,
            mirrored,
            notify,
            clock,
            asked: Mutex::default(),
        }
    }

    fn context(&self) -> Arc<Context> {
        Arc::clone(&self.contexts.borrow())
    }

    /// What the control socket calls. A dry run changes nothing and so needs no turn; a real one
    /// is a run of the task like any other.
    pub(super) fn by_hand(self: &Arc<Self>, handle: TaskHandle) -> SyncCredentials {
        let task = Arc::clone(self);
        Arc::new(move |request| {
            let (task, handle) = (Arc::clone(&task), handle.clone());
            Box::pin(async move { task.asked(request, &handle).await })
        })
    }

    async fn asked(
        &self,
        request: CredentialRequest,
        handle: &TaskHandle,
    ) -> Result<CredentialReport, String> {
        let context = self.context();
        if context.config.credentials.is_none() {
            return Err("its configuration has no `credentials`".to_owned());
        }
        let options = options(request);
        if options.dry_run {
            let hold = held(&context.config, *self.mirrored.borrow());
            return Ok(context.credential_pass(options, hold).await);
        }
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.renew |= options.renew;
            asked.confirm_removal = options.confirm_removal.or(asked.confirm_removal.take());
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
        let options = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        if context.config.credentials.is_none() {
            self.reports.send_replace(None);
            return Finished::done("no credentials are configured");
        }
        // The times of `schedule` are for new tokens, whatever the old ones' ends say.
        let renew = options.renew || why == Activation::Cron;
        let held = held(&context.config, *self.mirrored.borrow());
        let report = context
            .credential_pass(PassOptions { renew, ..options }, held.clone())
            .await;
        let mut finished = judge(&report, &held);
        finished.again_at = next_due(&report, self.clock.now());
        let report = Arc::new(report);
        self.reports.send_replace(Some(Arc::clone(&report)));
        // While all of it waits for the mirror there is nothing to say yet.
        if held.len() < report.registries.len() || report.registries.is_empty() {
            (self.notify)(Notice::Credentials(why, &report));
        }
        finished
    }
}

impl Task for CredentialTask {
    fn name(&self) -> &'static str {
        "credentials"
    }

    fn run(&self, why: Activation) -> BoxFuture<'_, Finished> {
        Box::pin(self.pass(why))
    }
}

/// The entries that cannot be proven yet: a registry of our own is empty until the first mirror pass
/// has ended.
pub(super) fn held(config: &Config, mirror_passes: u64) -> Vec<String> {
    let filled_here = config.registry.is_some()
        && (config.mirror.as_ref()).is_some_and(|mirror| mirror.destination == Destination::Embedded);
    if filled_here && mirror_passes == 0 {
        own_entries(config)
    } else {
        Vec::new()
    }
}

/// The words of the socket in those of the credentials.
#[must_use]
pub fn options(request: CredentialRequest) -> PassOptions {
    let CredentialRequest {
        dry_run,
        confirm_removal,
        renew,
    } = request;
    PassOptions {
        dry_run,
        confirm_removal,
        renew,
    }
}

/// Runs `task` after each end of a mirror pass that may have changed what our own registry can prove.
pub(super) async fn after_mirror(
    contexts: watch::Receiver<Arc<Context>>,
    mut mirrored: watch::Receiver<u64>,
    task: TaskHandle,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = is_told(&mut stop) => return,
            ended = mirrored.changed() => if ended.is_err() { return },
        }
        let config = Arc::clone(&contexts.borrow().config);
        if config.credentials.is_some() && !own_entries(&config).is_empty() {
            task.activate(Activation::Change);
        }
    }
}

/// How a pass ended, as a task. What is only held until the mirror is done is no failure.
fn judge(report: &CredentialReport, held: &[String]) -> Finished {
    let counts = |registry: &&RegistryCredential| !held.contains(&registry.name);
    let registries: Vec<_> = report.registries.iter().filter(counts).collect();
    let troubles = troubles(report, &registries);
    let nothing_done = !registries.is_empty()
        && (registries.iter()).all(|registry| registry.result == CredentialResult::Failed)
        || !report.targets.is_empty()
            && (report.targets.iter()).all(|target| target.outcome == TargetOutcome::Failed);
    let outcome = match &troubles {
        None => Outcome::Done,
        Some(_) if nothing_done => Outcome::Failed,
        Some(_) => Outcome::Partly,
    };
    let mut summary = credential_summary(report);
    if !held.is_empty() {
        summary.push_str("; waits for the first mirror pass: ");
        summary.push_str(&held.join(", "));
    }
    Finished {
        outcome,
        summary,
        error_kind: troubles,
        again_at: None,
    }
}

/// The class of the first thing that is not well.
fn troubles(report: &CredentialReport, registries: &[&RegistryCredential]) -> Option<String> {
    let unknown = || "unknown".to_owned();
    let of_registry = registries.iter().find_map(|registry| match &registry.error {
        Some(error) => Some(error.kind.clone()),
        None if registry.result == CredentialResult::Failed => Some(unknown()),
        None => None,
    });
    let of_target = || {
        let bad = |outcome| matches!(outcome, TargetOutcome::Failed | TargetOutcome::Refused);
        let target = report.targets.iter().find(|target| bad(target.outcome))?;
        Some(target.kind.clone().unwrap_or_else(unknown))
    };
    let incomplete = || (!report.incomplete.is_empty()).then(|| "incomplete".to_owned());
    let waits = || report.removal.as_ref().map(|_| "removal_waits".to_owned());
    of_registry.or_else(of_target).or_else(incomplete).or_else(waits)
}
