//! Docker config files as targets: which credentials go into which, and what is recorded of it.
//!
//! The inventory lists the keys of a file that are ours. A key is listed only once it is certain that
//! it is: a foreign one that was listed by mistake would be taken out one day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syncd_config::config::{CredentialTarget, RegistryEntry, TargetPlace};
use syncd_config::{RegistryHost, Secret};

use super::content::{of_entry, wanted};
use super::file::{self, FileChange, FileError, FileOutcome};
use super::inventory::InventoryStore;
use super::record::save;
use super::state::Writes;
use super::{tell, words};
use crate::report::{TargetOutcome, TargetReport};
use crate::tokens::{Good, LastGood};

/// What is done to one file.
pub(super) struct FileStep<'a> {
    pub(super) path: &'a Path,
    /// The place in the configuration's targets; `None` for one that no target has any more.
    pub(super) target: Option<usize>,
    pub(super) action: FileAction<'a>,
}

pub(super) enum FileAction<'a> {
    /// Put these in, and take out of the keys in `formerly` those that are none of theirs.
    Write {
        good: Vec<&'a Good>,
        formerly: Vec<String>,
        /// Keys of ours that stay as they are: there is no credential for them now.
        kept: Vec<String>,
    },
    /// Nothing: outcome, class and reason.
    Nothing(TargetOutcome, Option<&'static str>, &'static str),
}

/// The steps for all files: those of the targets, and those in `going`, out of which ours are taken.
pub(super) fn steps<'a>(
    targets: &'a [CredentialTarget],
    entries: &'a [RegistryEntry],
    good: &'a LastGood,
    hold: &[String],
    recorded: &BTreeMap<PathBuf, Vec<String>>,
    going: &'a [PathBuf],
) -> Vec<FileStep<'a>> {
    let mut taken = BTreeSet::new();
    let mut steps = Vec::new();
    for (at, target) in targets.iter().enumerate() {
        let TargetPlace::File { path } = &target.place else {
            continue;
        };
        let action = match taken.insert(path) {
            true => {
                let known = recorded.get(path).map_or(&[][..], Vec::as_slice);
                action(target, entries, good, hold, known)
            }
            false => FileAction::Nothing(
                TargetOutcome::Refused,
                Some("duplicate"),
                "another target keeps this file already",
            ),
        };
        let target = Some(at);
        steps.push(FileStep { path, target, action });
    }
    steps.extend(going.iter().map(|path| FileStep {
        path,
        target: None,
        action: FileAction::Write {
            good: Vec::new(),
            formerly: recorded.get(path).cloned().unwrap_or_default(),
            kept: Vec::new(),
        },
    }));
    steps
}

fn action<'a>(
    target: &'a CredentialTarget,
    entries: &'a [RegistryEntry],
    good: &'a LastGood,
    hold: &[String],
    recorded: &[String],
) -> FileAction<'a> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for entry in wanted(target, entries) {
        match of_entry(good, entry) {
            Some(good) => found.push(good),
            None => missing.push(entry),
        }
    }
    if found.is_empty() {
        let held = missing.iter().all(|entry| hold.contains(&entry.name));
        return match (held, recorded) {
            (true, _) => FileAction::Nothing(
                TargetOutcome::Unchanged,
                None,
                "waits until this process's own registry is filled",
            ),
            (false, []) => FileAction::Nothing(
                TargetOutcome::Failed,
                Some("no_credential"),
                "there is no credential for it yet",
            ),
            (false, _) => FileAction::Nothing(
                TargetOutcome::Unchanged,
                None,
                "there is no credential to put in its place",
            ),
        };
    }
    let waiting: BTreeSet<String> = missing.iter().flat_map(|entry| entry.host.auth_keys()).collect();
    let (kept, formerly) = recorded
        .iter()
        .cloned()
        .partition(|recorded| waiting.contains(recorded));
    FileAction::Write {
        good: found,
        formerly,
        kept,
    }
}

/// With what file steps are done.
pub(super) struct Keeper<'a> {
    pub(super) store: &'a InventoryStore,
    pub(super) writes: &'a mut Writes,
    pub(super) incomplete: &'a mut Vec<String>,
    pub(super) dry_run: bool,
}

impl Keeper<'_> {
    /// Does a step; the row of the report, if there is anything to say.
    pub(super) async fn keep(&mut self, step: FileStep<'_>) -> Option<TargetReport> {
        let FileStep { path, target, action } = step;
        let (good, formerly, kept) = match action {
            FileAction::Write { good, formerly, kept } => (good, formerly, kept),
            FileAction::Nothing(outcome, kind, reason) => {
                return Some(TargetReport {
                    kind: kind.map(str::to_owned),
                    ..row(path, outcome, reason)
                });
            }
        };
        let done = self.write(path, &good, &formerly, &kept).await;
        let gone = target.is_none();
        match done {
            Ok(outcome) if gone && outcome.change == FileChange::Unchanged => None,
            Ok(_) if gone => Some(row(path, TargetOutcome::Removed, "no target wants it any more")),
            Ok(outcome) => Some(told(path, &outcome)),
            Err(error) => Some(failed(path, &error)),
        }
    }

    async fn write(
        &mut self,
        path: &Path,
        good: &[&Good],
        formerly: &[String],
        kept: &[String],
    ) -> Result<FileOutcome, FileError> {
        let logins = logins(good);
        // What somebody else has there decides which keys are ours.
        let looked = file::write(path, &logins, formerly, true).await?;
        if self.dry_run {
            return Ok(looked);
        }
        let ours = ours(good, formerly, &looked);
        let with = |keys: &[String]| -> Vec<String> {
            let keys: BTreeSet<&String> = ours.iter().chain(kept).chain(keys).collect();
            keys.into_iter().cloned().collect()
        };
        self.record(path, with(formerly)).await;
        let done = match looked.change {
            FileChange::Unchanged => looked,
            FileChange::Created | FileChange::Updated => file::write(path, &logins, formerly, false).await?,
        };
        self.record(path, with(&[])).await;
        if done.change != FileChange::Unchanged {
            tell::audit_file(path, done.change, good);
        }
        Ok(done)
    }

    async fn record(&mut self, path: &Path, keys: Vec<String>) {
        let stored = self.writes.inventory.get_or_insert_default();
        match keys.is_empty() {
            true => stored.inventory.files.remove(path),
            false => stored.inventory.files.insert(path.to_owned(), keys),
        };
        save(self.store, stored, self.incomplete).await;
    }
}

/// The keys that are ours when the file was written: not those of a host for which somebody else has
/// an entry, unless they were ours before.
fn ours(good: &[&Good], formerly: &[String], outcome: &FileOutcome) -> Vec<String> {
    let is_foreign = |host: &RegistryHost| outcome.foreign.iter().any(|foreign| foreign.host == *host);
    let keys = good.iter().flat_map(|good| {
        let foreign = is_foreign(&good.host);
        let keys = good.host.auth_keys().into_iter();
        keys.filter(move |key| !foreign || formerly.contains(key))
    });
    keys.collect()
}

/// The credentials as a docker config has them.
fn logins<'a>(good: &[&'a Good]) -> Vec<(RegistryHost, &'a str, &'a Secret)> {
    good.iter()
        .map(|good| (good.host.clone(), good.username.as_str(), &good.secret))
        .collect()
}

fn told(path: &Path, outcome: &FileOutcome) -> TargetReport {
    let (result, reason) = match outcome.change {
        FileChange::Created => (TargetOutcome::Created, "it was not there"),
        FileChange::Updated => (TargetOutcome::Updated, "its entries of ours were different"),
        FileChange::Unchanged => (TargetOutcome::Unchanged, super::plan::HELD),
    };
    let mut reason = reason.to_owned();
    for warning in &outcome.warnings {
        reason.push_str("; ");
        reason.push_str(warning);
    }
    let Some(foreign) = outcome.foreign.first() else {
        return row(path, result, &reason);
    };
    let refusal = format!(
        "it has an entry for {} that is not syncd's ({}); other entries: {reason}",
        foreign.host, foreign.key
    );
    TargetReport {
        kind: Some("foreign".to_owned()),
        hint: outcome.hint(),
        ..row(path, TargetOutcome::Refused, &refusal)
    }
}

fn failed(path: &Path, error: &FileError) -> TargetReport {
    let outcome = match error.kind().is_refusal() {
        true => TargetOutcome::Refused,
        false => TargetOutcome::Failed,
    };
    TargetReport {
        kind: Some(error.kind().as_str().to_owned()),
        hint: error.hint().map(str::to_owned),
        ..row(path, outcome, &words(error))
    }
}

fn row(path: &Path, outcome: TargetOutcome, reason: &str) -> TargetReport {
    TargetReport {
        namespace: None,
        secret: None,
        file: Some(path.display().to_string()),
        outcome,
        reason: reason.to_owned(),
        kind: None,
        hint: None,
    }
}
