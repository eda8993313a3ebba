//! A credential report for people.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{lines, relative, table, wrap};
use crate::app::counted;
use crate::cli::output::{Paint, paint};
use crate::report::{
    CredentialReport, CredentialResult, CredentialTotals, PendingRemoval, RegistryCredential, TargetOutcome,
    TargetReport,
};

/// So many changed targets, or items of a removal, are shown one by one.
const SHOWN: usize = 20;

/// How a credential report is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialView {
    /// Everything, in lines as long as they get.
    pub(crate) wide: bool,
    /// With colour.
    pub(crate) color: bool,
    /// The time now.
    pub(crate) now: Timestamp,
    /// Which targets are shown one by one, besides those that are not well.
    pub(crate) changes: Changes,
}

/// How changed targets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// As counts.
    Counted,
    /// One by one.
    Done,
    /// One by one, as what would be done.
    Planned,
}

/// `sync credentials` and `get credentials`.
pub(crate) fn credentials(report: &CredentialReport, view: CredentialView) -> String {
    let mut text = String::new();
    if !report.registries.is_empty() {
        text.push_str(&registries(&report.registries, view));
    }
    for registry in &report.registries {
        text.push_str(&unproven(registry, view.color));
        text.push_str(&registry_trouble(registry, view.color));
    }
    let counts = match (report.totals.targets, report.incomplete.is_empty()) {
        (0, true) => "no targets: no selected namespace and no file".to_owned(),
        (0, false) => "no targets were seen".to_owned(),
        _ => target_counts(&report.totals, view.changes),
    };
    text.push_str(&format!("\n{counts}\n"));
    if view.wide && !report.targets.is_empty() {
        text.push_str(&targets(&report.targets));
    } else if view.changes == Changes::Counted {
        text.push_str(&files(&report.targets));
    } else {
        text.push_str(&changed(&report.targets, view.changes));
    }
    text + &target_troubles(report, view)
}

/// Only what is not well; empty when nothing is.
pub(crate) fn credential_troubles(report: &CredentialReport, view: CredentialView) -> String {
    let mut text = String::new();
    for registry in &report.registries {
        text.push_str(&registry_trouble(registry, view.color));
    }
    text + &target_troubles(report, view)
}

fn target_troubles(report: &CredentialReport, view: CredentialView) -> String {
    let mut text = String::new();
    for target in &report.targets {
        text.push_str(&target_trouble(target, view.color));
    }
    let mut told = BTreeSet::new();
    for reason in report.incomplete.iter().filter(|reason| told.insert(*reason)) {
        let label = paint(view.color, Paint::Warn, "not seen:");
        text.push_str(&format!("\n{label}\n{}", wrap(reason, "  ")));
    }
    if let Some(removal) = &report.removal {
        text.push_str(&pending(removal, view));
    }
    text
}

fn registries(registries: &[RegistryCredential], view: CredentialView) -> String {
    let mut table = table(view.wide);
    if view.wide {
        table.set_header([
            "NAME",
            "HOST",
            "IDENTITY",
            "RESULT",
            "MINTED",
            "EXPIRES",
            "PROVEN",
            "PROOF",
            "NEXT REFRESH",
        ]);
    } else {
        table.set_header(["REGISTRY", "RESULT", "EXPIRES", "PROVEN", "NEXT REFRESH"]);
    }
    let when = |at: Option<Timestamp>| match at {
        Some(at) if view.wide => format!("{at:.0}"),
        Some(at) => relative(at, view.now),
        None => "-".to_owned(),
    };
    for registry in registries {
        let result = result(registry.result).to_owned();
        let expires = match (registry.expires, registry.minted) {
            (None, Some(_)) => "unknown".to_owned(),
            (expires, _) => when(expires),
        };
        let proven = if registry.proven { "yes" } else { "no" }.to_owned();
        let next = match registry.next_refresh {
            Some(at) if at <= view.now && !view.wide => "due".to_owned(),
            at => when(at),
        };
        if view.wide {
            let RegistryCredential {
                name,
                host,
                identity,
                proof,
                ..
            } = registry.clone();
            let minted = when(registry.minted);
            table.add_row([name, host, identity, result, minted, expires, proven, proof, next]);
        } else {
            table.add_row([name_of(registry), result, expires, proven, next]);
        }
    }
    lines(&table)
}

/// The entry's name, with the host when that is another.
fn name_of(registry: &RegistryCredential) -> String {
    if registry.name == registry.host {
        registry.host.clone()
    } else {
        format!("{} ({})", registry.name, registry.host)
    }
}

/// Why a credential is not proven, when nothing worse is to be said of it.
fn unproven(registry: &RegistryCredential, color: bool) -> String {
    if registry.proven || registry.error.is_some() || registry.result == CredentialResult::Failed {
        return String::new();
    }
    let label = paint(color, Paint::Warn, "not proven:");
    format!("\n{label} {}\n{}", registry.name, wrap(&registry.proof, "  "))
}

/// Why there is no newer token.
fn registry_trouble(registry: &RegistryCredential, color: bool) -> String {
    let Some(error) = &registry.error else {
        return String::new();
    };
    let (paint_as, label) = match registry.result {
        CredentialResult::Failed => (Paint::Bad, "failed:"),
        CredentialResult::Kept => (Paint::Warn, "kept the one before:"),
        CredentialResult::Minted => (Paint::Warn, "not proven:"),
    };
    let mut text = format!("\n{} {}\n", paint(color, paint_as, label), registry.name);
    text.push_str(&wrap(&format!("{} ({})", error.message, error.kind), "  "));
    if let Some(hint) = &error.hint {
        text.push_str(&wrap(&format!("help: {hint}"), "  "));
    }
    text
}

/// `4 targets: 1 created, 3 unchanged`.
fn target_counts(totals: &CredentialTotals, changes: Changes) -> String {
    let planned = changes == Changes::Planned;
    let word = |done: &'static str, to_be: &'static str| if planned { to_be } else { done };
    let counts = [
        (totals.created, word("created", "to be created")),
        (totals.updated, word("updated", "to be updated")),
        (totals.unchanged, "unchanged"),
        (totals.removed, word("removed", "to be removed")),
        (totals.refused, "refused"),
        (totals.failed, "failed"),
    ];
    counted(totals.targets, ["target", "targets"], &counts)
}

fn targets(targets: &[TargetReport]) -> String {
    let mut table = table(true);
    table.set_header(["TARGET", "OUTCOME", "REASON"]);
    for target in targets {
        table.add_row([&place(target), outcome(target.outcome), &target.reason]);
    }
    lines(&table)
}

/// The files that are well: there are few, and their place is what people look for.
fn files(targets: &[TargetReport]) -> String {
    let well = |target: &&TargetReport| {
        !matches!(
            target.outcome,
            TargetOutcome::Refused | TargetOutcome::Failed | TargetOutcome::Removed
        )
    };
    let files = targets
        .iter()
        .filter(well)
        .filter_map(|target| target.file.as_deref());
    files.map(|file| format!("  {file}\n")).collect()
}

/// Created, updated and removed targets, the first of them.
fn changed(targets: &[TargetReport], changes: Changes) -> String {
    let verb = |target: &TargetReport| match (target.outcome, changes == Changes::Planned) {
        (TargetOutcome::Created, true) => Some("create"),
        (TargetOutcome::Updated, true) => Some("update"),
        (TargetOutcome::Removed, true) => Some("remove"),
        (TargetOutcome::Created | TargetOutcome::Updated | TargetOutcome::Removed, false) => {
            Some(outcome(target.outcome))
        }
        _ => None,
    };
    let mut text = String::new();
    let mut found = 0_usize;
    for target in targets {
        let Some(verb) = verb(target) else { continue };
        found += 1;
        if found <= SHOWN {
            let line = format!("{verb} {}: {}", place(target), target.reason);
            text.push_str(&wrap(line.trim_end_matches(": "), "  "));
        }
    }
    text + &more_of(found.saturating_sub(SHOWN))
}

fn target_trouble(target: &TargetReport, color: bool) -> String {
    let label = match target.outcome {
        TargetOutcome::Refused => paint(color, Paint::Warn, "refused:"),
        TargetOutcome::Failed => paint(color, Paint::Bad, "failed:"),
        _ => return String::new(),
    };
    let mut text = format!("\n{label} {}\n", place(target));
    let kind = target.kind.as_ref().map(|kind| format!(" ({kind})"));
    text.push_str(&wrap(
        &format!("{}{}", target.reason, kind.unwrap_or_default()),
        "  ",
    ));
    if let Some(hint) = &target.hint {
        text.push_str(&wrap(&format!("help: {hint}"), "  "));
    }
    text
}

fn pending(removal: &PendingRemoval, view: CredentialView) -> String {
    let label = paint(view.color, Paint::Warn, "not removed:");
    let count = removal.items.len();
    let mut text = format!(
        "\n{label} {count} of the {} that syncd manages, too many to do unasked\n",
        removal.managed
    );
    let shown = if view.wide { count } else { SHOWN };
    for item in removal.items.iter().take(shown) {
        text.push_str(&format!("  {item}\n"));
    }
    text.push_str(&more_of(count.saturating_sub(shown)));
    text.push_str(&format!(
        "  help: if they are really not wanted any more, remove them with\n  syncd sync credentials --confirm-removal {}\n",
        removal.id
    ));
    text
}

fn more_of(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!("  … and {more} more; -o wide shows all\n"),
    }
}

/// `namespace/secret`, or the file.
pub(crate) fn place(target: &TargetReport) -> String {
    match (&target.namespace, &target.secret, &target.file) {
        (Some(namespace), Some(secret), _) => format!("{namespace}/{secret}"),
        (_, _, Some(file)) => file.clone(),
        _ => "-".to_owned(),
    }
}

fn result(result: CredentialResult) -> &'static str {
    match result {
        CredentialResult::Minted => "minted",
        CredentialResult::Kept => "kept",
        CredentialResult::Failed => "failed",
    }
}

fn outcome(outcome: TargetOutcome) -> &'static str {
    match outcome {
        TargetOutcome::Created => "created",
        TargetOutcome::Updated => "updated",
        TargetOutcome::Unchanged => "unchanged",
        TargetOutcome::Removed => "removed",
        TargetOutcome::Refused => "refused",
        TargetOutcome::Failed => "failed",
    }
}
