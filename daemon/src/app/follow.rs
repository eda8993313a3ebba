//! What happens to credentials between passes: the watch, and how the last report stays true.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::credentials::held;
use super::signals::is_told;
use crate::context::Context;
use crate::credentials::{CredentialContext, FollowNotice, follow};
use crate::report::{Activation, CredentialReport, CredentialTotals, TargetOutcome, TargetReport};
use crate::schedule::TaskHandle;

/// So long nothing more must be wanted before a pass is run for it…
const QUIET: Duration = Duration::from_secs(10);
/// …but it is not put off for longer than this.
const LONGEST: Duration = Duration::from_secs(60);

type Reports = watch::Sender<Option<Arc<CredentialReport>>>;

/// What the watch goes by.
pub(super) struct Follow {
    pub(super) contexts: watch::Receiver<Arc<Context>>,
    /// How many mirror passes have ended.
    pub(super) mirrored: watch::Receiver<u64>,
    /// The last pass's report, which is kept true.
    pub(super) reports: Reports,
    /// The task, for what only a pass does.
    pub(super) task: TaskHandle,
    pub(super) stop: watch::Receiver<bool>,
}

impl Follow {
    /// Serves new namespaces and restores what others change, until the daemon stops.
    pub(super) async fn keep(self) {
        let Self {
            contexts,
            mirrored,
            reports,
            task,
            stop,
        } = self;
        let first = now(&contexts, &mirrored).await;
        let (sender, receiver) = watch::channel(Arc::new(first));
        let ended = reports.subscribe();
        let (want, wanted) = watch::channel(0_u64);
        let notify = move |notice| match notice {
            FollowNotice::Changed(rows) => reports.send_modify(|report| {
                if let Some(report) = report {
                    merge(Arc::make_mut(report), rows);
                }
            }),
            FollowNotice::PassWanted => want.send_modify(|count| *count += 1),
        };
        let pass = move || task.activate(Activation::Change);
        tokio::join!(
            follow(receiver, notify, stop.clone()),
            when_quiet(wanted, pass, stop.clone()),
            renew(sender, contexts, mirrored, ended, stop)
        );
    }
}

/// Has one pass done for all that is wanted within a while. Namespaces that leave a target one after
/// the other are one removal, which the brake must see whole.
async fn when_quiet(mut wanted: watch::Receiver<u64>, pass: impl Fn(), mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = is_told(&mut stop) => return,
            first = wanted.changed() => if first.is_err() { return },
        }
        let latest = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            tokio::select! {
                () = is_told(&mut stop) => return,
                Ok(()) = wanted.changed(), if quiet < latest => {}
                () = sleep_until(quiet) => break,
            }
        }
        wanted.mark_unchanged();
        pass();
    }
}

/// Gives the watch a new context when something in it is another: the configuration, what is held,
/// or a cluster that could not be connected to before.
async fn renew(
    sender: watch::Sender<Arc<CredentialContext>>,
    mut contexts: watch::Receiver<Arc<Context>>,
    mut mirrored: watch::Receiver<u64>,
    mut ended: watch::Receiver<Option<Arc<CredentialReport>>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = is_told(&mut stop) => return,
            Ok(()) = contexts.changed() => {}
            Ok(()) = mirrored.changed() => {}
            // A pass has tried to connect.
            Ok(()) = ended.changed() => {}
            else => return,
        }
        let new = now(&contexts, &mirrored).await;
        let _changed = sender.send_if_modified(|old| {
            let changed = is_other(old, &new);
            if changed {
                *old = Arc::new(new);
            }
            changed
        });
    }
}

async fn now(contexts: &watch::Receiver<Arc<Context>>, mirrored: &watch::Receiver<u64>) -> CredentialContext {
    let context = Arc::clone(&contexts.borrow());
    let hold = held(&context.config, *mirrored.borrow());
    context.credentials(hold).await
}

fn is_other(old: &CredentialContext, new: &CredentialContext) -> bool {
    let connected = |context: &CredentialContext| matches!(context.cluster, Some(Ok(_)));
    !Arc::ptr_eq(&old.config, &new.config) || old.hold != new.hold || connected(old) != connected(new)
}

/// Takes over what became of targets since the pass.
fn merge(report: &mut CredentialReport, rows: Vec<TargetReport>) {
    for row in rows {
        let same = |old: &&mut TargetReport| {
            (&old.namespace, &old.secret, &old.file) == (&row.namespace, &row.secret, &row.file)
        };
        match report.targets.iter_mut().find(same) {
            Some(old) => *old = row,
            None => report.targets.push(row),
        }
    }
    let count = |outcome| {
        let found = report.targets.iter().filter(|target| target.outcome == outcome);
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    };
    report.totals = CredentialTotals {
        targets: u64::try_from(report.targets.len()).unwrap_or(u64::MAX),
        created: count(TargetOutcome::Created),
        updated: count(TargetOutcome::Updated),
        unchanged: count(TargetOutcome::Unchanged),
        removed: count(TargetOutcome::Removed),
        refused: count(TargetOutcome::Refused),
        failed: count(TargetOutcome::Failed),
        mints: report.totals.mints,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(namespace: &str, outcome: TargetOutcome) -> TargetReport {
        TargetReport {
            namespace: Some(namespace.to_owned()),
            secret: Some("syncd-pull".to_owned()),
            file: None,
            outcome,
            reason: String::new(),
            kind: None,
            hint: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_one_after_the_other_is_one_pass() {
        let (want, wanted) = watch::channel(0_u64);
        let (stop, stopped) = watch::channel(false);
        let (ran, mut runs) = tokio::sync::mpsc::unbounded_channel();
        let begin = Instant::now();
        let pass = move || ran.send(begin.elapsed().as_secs()).unwrap();
        let job = tokio::spawn(when_quiet(wanted, pass, stopped));
        let once = || want.send_modify(|count| *count += 1);
        for _ in 0..4 {
            once();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(runs.recv().await, Some(25), "ten seconds after the last");
        // A stream of them is not waited out.
        for _ in 0..20 {
            once();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(runs.recv().await, Some(85));
        assert_eq!(runs.recv().await, Some(130));
        stop.send_replace(true);
        job.await.unwrap();
        assert_eq!(runs.recv().await, None);
    }

    #[test]
    fn the_report_follows_what_happens_after_it() {
        let mut report = CredentialReport {
            started: jiff::Timestamp::UNIX_EPOCH,
            registries: Vec::new(),
            targets: vec![
                row("a", TargetOutcome::Unchanged),
                row("b", TargetOutcome::Failed),
            ],
            removal: None,
            incomplete: Vec::new(),
            totals: CredentialTotals {
                targets: 2,
                unchanged: 1,
                failed: 1,
                mints: 3,
                ..CredentialTotals::default()
            },
        };
        let rows = vec![
            row("b", TargetOutcome::Created),
            row("new", TargetOutcome::Created),
        ];
        merge(&mut report, rows);
        let names: Vec<_> = report
            .targets
            .iter()
            .map(|row| row.namespace.clone().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "new"]);
        assert_eq!(
            report.totals,
            CredentialTotals {
                targets: 3,
                created: 2,
                unchanged: 1,
                mints: 3,
                ..CredentialTotals::default()
            }
        );
    }
}
