//! `/metrics`: filled at scrape from the view, in the OpenMetrics text form.
//!
//! Times are absolute ("last success at"), so that an alert can be computed at any moment. Labels
//! take values from closed sets only: no image, host or user name is ever a label. A registry is
//! labelled with the name of its entry in the configuration: there are as many as were written there.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::view::View;
use crate::report::{CredentialReport, CredentialTotals, ImageOutcome};

/// The media type of what [`render`] gives.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// The metrics now.
pub fn render(view: &View) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("syncd");
    process(view, &mut registry);
    config(view, &mut registry);
    tasks(view, &mut registry);
    mirror(view, &mut registry);
    credentials(view, &mut registry);
    embedded(view, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(in_order(&text))
}

/// The library keeps the samples of a family in a hash map; people compare two scrapes by eye.
fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for samples in lines.split_mut(|line| line.starts_with('#')) {
        samples.sort_unstable();
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn process(view: &View, registry: &mut Registry) {
    let build = gauges(registry, "build_info", "The version that runs; always 1");
    set(&build, &[("version", view.version)], 1);
    gauge(
        registry,
        "start_timestamp_seconds",
        "When the daemon started",
        view.started.as_second(),
    );
    gauge(
        registry,
        "ready",
        "1 when the daemon is ready",
        i64::from(view.ready.borrow().all()),
    );
}

fn config(view: &View, registry: &mut Registry) {
    let config = view.config.borrow();
    gauge(
        registry,
        "config_last_reload_successful",
        "1 when the file as it is now is in use, 0 when it has problems",
        i64::from(config.problem.is_none()),
    );
    gauge(
        registry,
        "config_last_reload_success_timestamp_seconds",
        "When the configuration in use was read",
        config.loaded.as_second(),
    );
    gauge(
        registry,
        "config_restart_needed",
        "1 when the file has values that count after a restart",
        i64::from(!config.needs_restart.is_empty()),
    );
}

fn tasks(view: &View, registry: &mut Registry) {
    let running = gauges(registry, "task_running", "1 while the task runs");
    let last_run = gauges(
        registry,
        "task_last_run_timestamp_seconds",
        "When the last finished run began",
    );
    let last_success = gauges(
        registry,
        "task_last_success_timestamp_seconds",
        "When the task last ended with everything done; 0 before",
    );
    let runs = counters(registry, "task_runs", "Finished runs by how they ended");
    let panics = counters(registry, "task_panics", "Runs ended by a bug in syncd");
    for handle in view.tasks.borrow().iter() {
        let status = handle.status();
        let counts = handle.counts();
        let name = status.name.as_str();
        set(
            &running,
            &[("task", name)],
            i64::from(status.running_since.is_some()),
        );
        if let Some(last) = &status.last {
            set(&last_run, &[("task", name)], last.started.as_second());
        }
        set(
            &last_success,
            &[("task", name)],
            counts.last_success.load(Ordering::Relaxed),
        );
        for (outcome, count) in [
            ("done", &counts.done),
            ("partly", &counts.partly),
            ("failed", &counts.failed),
        ] {
            add(
                &runs,
                &[("task", name), ("outcome", outcome)],
                count.load(Ordering::Relaxed),
            );
        }
        add(&panics, &[("task", name)], counts.panics.load(Ordering::Relaxed));
    }
}

fn mirror(view: &View, registry: &mut Registry) {
    let images = gauges(
        registry,
        "mirror_images",
        "Images of the last mirror pass by what became of them",
    );
    let Some(report) = view.mirror.borrow().clone() else {
        return;
    };
    let outcomes = [
        ("copied", ImageOutcome::Copied),
        ("present", ImageOutcome::Present),
        ("skipped", ImageOutcome::Skipped),
        ("failed", ImageOutcome::Failed),
    ];
    for (name, outcome) in outcomes {
        let count = report
            .images
            .iter()
            .filter(|image| image.outcome == outcome)
            .count();
        set(
            &images,
            &[("outcome", name)],
            i64::try_from(count).unwrap_or(i64::MAX),
        );
    }
    gauge(
        registry,
        "mirror_last_pass_timestamp_seconds",
        "When the last mirror pass that ended began",
        report.started.as_second(),
    );
    gauge(
        registry,
        "mirror_last_pass_bytes",
        "Bytes that the last mirror pass sent",
        i64::try_from(report.totals.bytes).unwrap_or(i64::MAX),
    );
}

fn credentials(view: &View, registry: &mut Registry) {
    let asked = counters(registry, "credential_mints", "Tokens asked for");
    for (name, count) in (view.counters.mints)() {
        add(&asked, &[("registry", name.as_str())], count);
    }
    let Some(report) = view.credentials.borrow().clone() else {
        return;
    };
    published(&report, registry);
    let CredentialTotals {
        targets: _,
        created,
        updated,
        unchanged,
        removed,
        refused,
        failed,
        mints: _,
    } = report.totals;
    let targets = gauges(
        registry,
        "credential_targets",
        "Secrets and files of the last credential pass by what became of them",
    );
    for (outcome, count) in [
        ("created", created),
        ("updated", updated),
        ("unchanged", unchanged),
        ("removed", removed),
        ("refused", refused),
        ("failed", failed),
    ] {
        set(&targets, &[("outcome", outcome)], number(count));
    }
    let pending = report.removal.as_ref().map_or(0, |removal| removal.items.len());
    for (name, help, value) in [
        (
            "credential_last_pass_timestamp_seconds",
            "When the last credential pass that ended began",
            report.started.as_second(),
        ),
        (
            "credential_pending_removals",
            "Secrets and files whose removal waits for a person",
            i64::try_from(pending).unwrap_or(i64::MAX),
        ),
        (
            "credential_incomplete",
            "1 when the last credential pass could not see everything",
            i64::from(!report.incomplete.is_empty()),
        ),
    ] {
        gauge(registry, name, help, value);
    }
}

/// What is published for each registry. A time that is not known has no sample.
fn published(report: &CredentialReport, registry: &mut Registry) {
    let expires = gauges(
        registry,
        "credential_expiration_timestamp_seconds",
        "When the published token ends, as its issuer says",
    );
    let minted = gauges(
        registry,
        "credential_minted_timestamp_seconds",
        "When the published token was minted",
    );
    let proven = gauges(
        registry,
        "credential_proven",
        "1 when the published token was seen to pull",
    );
    for credential in &report.registries {
        let label = [("registry", credential.name.as_str())];
        if let Some(at) = credential.expires {
            set(&expires, &label, at.as_second());
        }
        if let Some(at) = credential.minted {
            set(&minted, &label, at.as_second());
        }
        set(&proven, &label, i64::from(credential.proven));
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn embedded(view: &View, registry: &mut Registry) {
    let Some(served) = (view.counters.served)() else {
        return;
    };
    let requests = counters(registry, "registry_requests", "Requests to the embedded registry");
    for row in &served.requests {
        let labels = [
            ("method", row.method),
            ("route", row.route),
            ("status", row.status),
        ];
        add(&requests, &labels, row.count);
    }
    counter(
        registry,
        "registry_sent_bytes",
        "Bytes of blobs sent by the embedded registry",
        served.sent,
    );
    counter(
        registry,
        "registry_received_bytes",
        "Bytes of blobs and manifests received by the embedded registry",
        served.received,
    );
    gauge(
        registry,
        "registry_connections",
        "Connections to the embedded registry that are open",
        i64::try_from(served.connections).unwrap_or(i64::MAX),
    );
}

fn gauges(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Gauge> {
    let family = Family::<Labels, Gauge>::default();
    registry.register(name, help, family.clone());
    family
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Counter> {
    let family = Family::<Labels, Counter>::default();
    registry.register(name, help, family.clone());
    family
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn labels(labels: &[(&'static str, &str)]) -> Labels {
    labels
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect()
}

fn set(family: &Family<Labels, Gauge>, with: &[(&'static str, &str)], value: i64) {
    family.get_or_create(&labels(with)).set(value);
}

fn add(family: &Family<Labels, Counter>, with: &[(&'static str, &str)], value: u64) {
    family.get_or_create(&labels(with)).inc_by(value);
}
