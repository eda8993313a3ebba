//! One pass, from looking to the report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use syncd_config::config::{CredentialTarget, RegistryEntry, TargetPlace};
use tracing::warn;

use super::apply::Work;
use super::content::Published;
use super::entries::{Decision, decide};
use super::files::{self, Keeper};
use super::gather::{self, Snapshot};
use super::inventory::{InventoryStore, Key};
use super::plan::{self, Rules, Seen, Step};
use super::record::{contents, perform, store};
use super::removal::{self, Known, Removals};
use super::state::Writes;
use super::{CredentialContext, PassOptions, words};
use crate::cluster::Cluster;
use crate::report::{
    CredentialReport, CredentialTotals, PendingRemoval, RegistryCredential, TargetOutcome, TargetReport,
};
use crate::tokens::LastGood;

/// Asks for what is due, proves what is new, and writes what differs; tells about each registry and
/// each secret in the order of the configuration. One that fails never stops the rest.
pub async fn pass(context: &CredentialContext, options: PassOptions, now: Timestamp) -> CredentialReport {
    let targets = match &context.config.credentials {
        Some(credentials) => credentials.targets.as_slice(),
        None => &[],
    };
    let wanted = entries(targets, &context.config.registries);
    let mints = mints(context, &wanted);
    let (good, mut incomplete) = context.state.good(&context.last_good).await;
    let candidates = gather::candidates(context, &wanted, &good, options.renew, now).await;
    let decisions: Vec<Decision> = candidates
        .into_iter()
        .map(|candidate| decide(candidate, now))
        .collect();
    let good = merged(&good, &context.config.registries, &decisions);
    let registries: Vec<RegistryCredential> = decisions.into_iter().map(|decision| decision.report).collect();
    let minted = self::mints(context, &wanted).saturating_sub(mints);
    say(&registries);

    let mut writes = context.state.turn().await;
    if !options.dry_run {
        keep(context, &good, &mut incomplete).await;
    }
    let mut run = Run {
        context,
        options: &options,
        targets,
        good: &good,
        now,
        writes: &mut writes,
        incomplete,
        removal: None,
    };
    let targets = run.targets().await;
    let (mut incomplete, removal) = (run.incomplete, run.removal);
    let mut said = BTreeSet::new();
    incomplete.retain(|words| said.insert(words.clone()));
    let totals = totals(&targets, minted);
    CredentialReport {
        started: now,
        registries,
        targets,
        removal,
        incomplete,
        totals,
    }
}

/// The entries that targets name, in the order of the configuration.
fn entries<'a>(targets: &[CredentialTarget], entries: &'a [RegistryEntry]) -> Vec<&'a RegistryEntry> {
    let names: BTreeSet<&str> = targets
        .iter()
        .flat_map(|target| target.registries.iter().map(String::as_str))
        .collect();
    let named = |entry: &&RegistryEntry| names.contains(entry.name.as_str());
    entries.iter().filter(named).collect()
}

fn mints(context: &CredentialContext, entries: &[&RegistryEntry]) -> u64 {
    let states = entries
        .iter()
        .filter_map(|entry| context.tokens.state(&entry.name));
    states.map(|state| state.mints).sum()
}

/// What is published from now on: the decisions, and what was good for other configured entries.
fn merged(before: &LastGood, configured: &[RegistryEntry], decisions: &[Decision]) -> LastGood {
    let mut good = before.clone();
    good.retain(|name, _| configured.iter().any(|entry| entry.name == *name));
    for decision in decisions {
        match &decision.good {
            Some(new) => good.insert(new.name.clone(), new.clone()),
            None => good.remove(&decision.report.name),
        };
    }
    good
}

fn say(registries: &[RegistryCredential]) {
    for registry in registries {
        if let Some(error) = &registry.error {
            // Its own target: a person who waits for the report need not read it twice.
            warn!(
                target: "credentials",
                registry = %registry.name,
                kind = %error.kind,
                error = %error.message,
                "no newer credential"
            );
        }
    }
}

/// Keeps the credentials where only syncd can write, before anything else gets them. A store that
/// fails does not keep them from namespaces: that would be worse than to lose them at a restart.
async fn keep(context: &CredentialContext, good: &LastGood, incomplete: &mut Vec<String>) {
    let names: BTreeSet<String> = context
        .config
        .registries
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    let kept = match context.last_good.save(good).await {
        Ok(()) => context.last_good.retain(&names).await,
        failed => failed,
    };
    if let Err(error) = kept {
        incomplete.push(words(&error));
    }
    context.state.publish(good.clone());
}

/// The part of a pass that has the turn to write.
struct Run<'a> {
    context: &'a CredentialContext,
    options: &'a PassOptions,
    targets: &'a [CredentialTarget],
    good: &'a LastGood,
    now: Timestamp,
    writes: &'a mut Writes,
    incomplete: Vec<String>,
    removal: Option<PendingRemoval>,
}

impl Run<'_> {
    async fn targets(&mut self) -> Vec<TargetReport> {
        let store = store(self.context);
        let listed = self.inventory(&store).await;
        let cluster = self.cluster();
        let snapshot = match &cluster {
            Some(cluster) => {
                let written = self.written();
                gather::snapshot(cluster, self.targets, written.iter()).await
            }
            None => Snapshot::default(),
        };
        self.incomplete.extend(snapshot.incomplete.iter().cloned());
        for (key, seen) in &snapshot.secrets {
            if matches!(seen, Seen::Terminating | Seen::Absent { namespace: false }) {
                self.writes.memory.forget_namespace(&key.namespace);
            }
        }
        let reached = cluster.is_some() || !self.asks_cluster();
        let complete = listed && reached && snapshot.incomplete.is_empty();
        let owner = cluster.as_ref().map_or("", Cluster::own_namespace).to_owned();
        let published = contents(self.context, self.targets, self.good, &owner);
        let (steps, removals) = self.plan(&snapshot, &published, &owner, complete);
        self.removal.clone_from(&removals.pending);
        let mut rows = match (&cluster, self.options.dry_run) {
            (Some(cluster), false) => {
                let work = Work {
                    cluster,
                    owner: &owner,
                    published: &published,
                    now: self.now,
                };
                self.apply(work, steps, &removals.forget, &store).await
            }
            _ => steps.into_iter().map(planned).collect(),
        };
        rows.extend(self.files(&removals.files, &store).await);
        rows.sort_by_key(|(target, _)| *target);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// Keeps the files of the targets, and takes ours out of those in `going`.
    async fn files(&mut self, going: &[PathBuf], store: &InventoryStore) -> Vec<(usize, TargetReport)> {
        let recorded = match &self.writes.inventory {
            Some(stored) => stored.inventory.files.clone(),
            None => BTreeMap::new(),
        };
        let config = &self.context.config;
        let hold = &self.context.hold;
        let steps = files::steps(
            self.targets,
            &config.registries,
            self.good,
            hold,
            &recorded,
            going,
        );
        let mut keeper = Keeper {
            store,
            writes: self.writes,
            incomplete: &mut self.incomplete,
            dry_run: self.options.dry_run,
        };
        let mut rows = Vec::new();
        for step in steps {
            let place = step.target.unwrap_or(usize::MAX);
            rows.extend(keeper.keep(step).await.map(|row| (place, row)));
        }
        rows
    }

    async fn apply(
        &mut self,
        work: Work<'_>,
        steps: Vec<Step>,
        forget: &[Key],
        store: &InventoryStore,
    ) -> Vec<(usize, TargetReport)> {
        let places: Vec<usize> = steps.iter().map(place).collect();
        let stored = self.writes.inventory.get_or_insert_default();
        for key in forget {
            stored.inventory.secrets.remove(key);
        }
        let (done, _) = perform(
            work,
            self.targets,
            steps,
            store,
            self.writes,
            &mut self.incomplete,
        )
        .await;
        let Writes { memory, inventory } = &mut *self.writes;
        let looked_at: BTreeSet<&Key> = done.iter().map(|done| &done.key).collect();
        let is_listed = |key: &Key| {
            inventory
                .as_ref()
                .is_some_and(|stored| stored.inventory.secrets.contains_key(key))
        };
        memory.keep_only(|key| is_listed(key) || looked_at.contains(key));
        let rows = places.into_iter().zip(done);
        rows.map(|(place, done)| (place, row(&done.key, done.judgement)))
            .collect()
    }

    /// Reads the inventory; one that cannot be read is said, and what is written now is added to it
    /// later.
    async fn inventory(&mut self, store: &InventoryStore) -> bool {
        match store.reload(self.writes.inventory.as_ref()).await {
            Ok(stored) => {
                self.writes.inventory = Some(stored);
                true
            }
            Err(error) => {
                self.incomplete.push(words(&error));
                false
            }
        }
    }

    fn written(&self) -> Vec<Key> {
        let inventory = self.writes.inventory.as_ref().map(|stored| &stored.inventory);
        inventory.map_or_else(Vec::new, |inventory| inventory.secrets.keys().cloned().collect())
    }

    /// Whether there is, or was, anything in a cluster to keep.
    fn asks_cluster(&self) -> bool {
        let is_kubernetes = |target: &CredentialTarget| matches!(target.place, TargetPlace::Kubernetes(_));
        self.targets.iter().any(is_kubernetes) || !self.written().is_empty()
    }

    fn cluster(&mut self) -> Option<Cluster> {
        match &self.context.cluster {
            _ if !self.asks_cluster() => None,
            Some(Ok(cluster)) => Some(cluster.clone()),
            Some(Err(error)) => {
                self.incomplete.push(words(error.as_ref()));
                None
            }
            None => {
                let (many, hint) = (
                    self.written().len(),
                    "keep one `kubernetes` target until they are removed",
                );
                self.incomplete.push(format!(
                    "no target names a cluster, and {many} secrets were written to one before: {hint}"
                ));
                None
            }
        }
    }

    fn plan(
        &self,
        snapshot: &Snapshot,
        published: &[Published],
        owner: &str,
        complete: bool,
    ) -> (Vec<Step>, Removals) {
        let rules = Rules {
            owner,
            memory: &self.writes.memory,
            now: self.now,
        };
        let mut steps = plan::steps(
            self.targets,
            &snapshot.selected,
            &snapshot.secrets,
            published,
            &rules,
        );
        let Some(stored) = self.writes.inventory.as_ref().filter(|_| complete) else {
            return (steps, Removals::default());
        };
        let known = Known {
            owner,
            targets: self.targets,
            selected: &snapshot.selected,
            wanted: &plan::wanted(self.targets, &snapshot.selected),
            secrets: &snapshot.secrets,
            inventory: &stored.inventory,
        };
        let mut removals = removal::removals(&known, self.options.confirm_removal.as_deref());
        steps.append(&mut removals.steps);
        (steps, removals)
    }
}

fn planned(step: Step) -> (usize, TargetReport) {
    (place(&step), row(&step.key, step.judgement))
}

/// Where a step's row is in the report: with its target, and after all when no target wants it.
fn place(step: &Step) -> usize {
    step.target.unwrap_or(usize::MAX)
}

/// A step as the report has it.
pub(super) fn row(key: &Key, judgement: plan::Judgement) -> TargetReport {
    TargetReport {
        namespace: Some(key.namespace.clone()),
        secret: Some(key.secret.clone()),
        file: None,
        outcome: judgement.outcome,
        reason: judgement.reason,
        kind: judgement.kind,
        hint: judgement.hint,
    }
}

fn totals(targets: &[TargetReport], mints: u64) -> CredentialTotals {
    let mut counts: BTreeMap<TargetOutcome, u64> = BTreeMap::new();
    for target in targets {
        *counts.entry(target.outcome).or_default() += 1;
    }
    let count = |outcome| counts.get(&outcome).copied().unwrap_or_default();
    CredentialTotals {
        targets: targets.len() as u64,
        created: count(TargetOutcome::Created),
        updated: count(TargetOutcome::Updated),
        unchanged: count(TargetOutcome::Unchanged),
        removed: count(TargetOutcome::Removed),
        refused: count(TargetOutcome::Refused),
        failed: count(TargetOutcome::Failed),
        mints,
    }
}
