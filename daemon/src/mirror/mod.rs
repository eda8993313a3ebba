//! The mirror: copies images, whole and proven, to the embedded registry or to any other.
//!
//! A pass is gather (resolve each image once, look at its destination) -> plan (pure) -> apply
//! (copy, prove) -> report. When nothing changed it costs one HEAD a side and image. One image that
//! fails never stops the rest.

mod apply;
mod gather;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use syncd_config::config::{Config, Destination, Mirror, Source};
use syncd_config::{RegistryHost, Repository};
use syncd_providers::Clock;

use crate::images::fault::ImageFault;
use crate::images::place::Place;
use crate::images::receipt::Receipts;
use crate::oci::RegistryClient;
use crate::oci::layout::Layout;
use crate::oci::remote::Remote;
use crate::report::{ImageOutcome, ImageReport, MirrorReport, MirrorTotals, Requests};

pub use crate::images::progress::{Progress, Silent};
pub use plan::Verify;

/// What a pass works with.
#[derive(Clone)]
pub struct MirrorContext {
    /// The configuration of this pass.
    pub config: Arc<Config>,
    /// The process's registry client.
    pub client: RegistryClient,
    /// The embedded registry's store, open for writing; needed when it is the destination.
    pub store: Option<Layout>,
    /// Where receipts are kept.
    pub receipts: Receipts,
    /// The time, for receipts: a proof is as old as its end, not as the pass.
    pub clock: Clock,
}

/// How a pass is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassOptions {
    /// Stop after the plan and report it.
    pub dry_run: bool,
    /// How far the proof of presence goes.
    pub verify: Verify,
}

/// Copies what is missing, proves what is there, and tells about each image in the order of the
/// configuration.
pub async fn pass(
    ctx: &MirrorContext,
    options: PassOptions,
    progress: Arc<dyn Progress>,
    now: Timestamp,
) -> MirrorReport {
    let Some(mirror) = &ctx.config.mirror else {
        return report(now, Vec::new(), Requests::default());
    };
    let hosts = Hosts::of(mirror);
    let before = hosts.requests(&ctx.client);
    progress.pass_started(mirror.images.len());
    let images = match destination(ctx, &mirror.destination) {
        Ok(sink) => {
            let gathered = gather::gather(ctx, mirror, &sink, now).await;
            let work = apply::Work::new(ctx, sink, options, progress);
            apply::apply(&work, gathered, now).await
        }
        Err(fault) => {
            let fail = |rule| gather::failed(&ctx.config, mirror, rule, &fault);
            mirror.images.iter().map(fail).collect()
        }
    };
    let after = hosts.requests(&ctx.client);
    let requests = Requests {
        source: after.source.saturating_sub(before.source),
        destination: after.destination.saturating_sub(before.destination),
    };
    report(now, images, requests)
}

/// The name of an image's place as reports and receipts have it: `host/repository:tag`.
#[must_use]
pub fn destination_host(config: &Config, destination: &Destination) -> String {
    match destination {
        Destination::Registry { host, .. } => host.to_string(),
        Destination::Embedded => match &config.registry {
            Some(registry) => match registry.names.first() {
                Some(name) => name.to_string(),
                None => registry.listen.to_string(),
            },
            None => "embedded".to_owned(),
        },
    }
}

fn destination(ctx: &MirrorContext, destination: &Destination) -> Result<Place, ImageFault> {
    match destination {
        Destination::Registry { host, .. } => Ok(Place::Registry(Remote::destination(
            ctx.client.clone(),
            host.clone(),
        ))),
        Destination::Embedded => ctx.store.clone().map(Place::Folder).ok_or_else(|| {
            ImageFault::found("open", "the embedded registry's store", "io")
                .hint("another syncd may hold it, or the configuration has no `registry`")
        }),
    }
}

fn report(started: Timestamp, images: Vec<ImageReport>, requests: Requests) -> MirrorReport {
    let count = |outcome| images.iter().filter(|i| i.outcome == outcome).count() as u64;
    let totals = MirrorTotals {
        images: images.len() as u64,
        copied: count(ImageOutcome::Copied),
        present: count(ImageOutcome::Present),
        failed: count(ImageOutcome::Failed),
        bytes: images.iter().map(|i| i.bytes).sum(),
        requests,
    };
    MirrorReport {
        started,
        images,
        totals,
    }
}

/// The registries of a pass. One that is both counts as destination.
struct Hosts {
    sources: BTreeSet<RegistryHost>,
    destination: Option<RegistryHost>,
}

impl Hosts {
    fn of(mirror: &Mirror) -> Self {
        let destination = match &mirror.destination {
            Destination::Registry { host, .. } => Some(host.clone()),
            Destination::Embedded => None,
        };
        let hosts = mirror.images.iter().filter_map(|rule| match &rule.source {
            Source::Registry(reference) => Some(reference.host.clone()),
            Source::OciLayout { .. } => None,
        });
        let sources = hosts.filter(|host| Some(host) != destination.as_ref()).collect();
        Self { sources, destination }
    }

    fn requests(&self, client: &RegistryClient) -> Requests {
        Requests {
            source: self.sources.iter().map(|host| client.requests(host)).sum(),
            destination: self.destination.as_ref().map_or(0, |host| client.requests(host)),
        }
    }
}

/// Whether images of `host` are read without any credential: then everyone may.
fn is_anonymous(config: &Config, host: &RegistryHost) -> bool {
    !config
        .registries
        .iter()
        .any(|entry| entry.host == *host && entry.identity.is_some())
}

/// An image's place at the destination.
#[derive(Clone, Debug)]
struct Spot {
    repository: Repository,
    tags: Vec<syncd_config::Tag>,
    /// `host/repository:tag`.
    name: String,
}
