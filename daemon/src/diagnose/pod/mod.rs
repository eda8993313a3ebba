//! Why a pod's image does not come: gather (`read`, `probe`), join (`join`, pure), report.
//!
//! The pod is read, its events, each of its pull secrets by name, its account and its node; then
//! the registry is asked once, with the credential that kubelet would try first, and from this
//! machine: what only the node can see stays the node's word. Nothing is written to the cluster,
//! no list of secrets is asked for, and no content of a secret is shown, logged or kept.

mod api;
mod checks;
mod creds;
mod evidence;
mod fixes;
mod freshness;
mod gather;
mod join;
mod keyring;
mod node;
mod probe;
mod read;
mod summary;
mod told;
mod view;

use syncd_config::Platform;
use syncd_providers::Clock;
use thiserror::Error;

pub use self::api::is_name;
use self::gather::Gathered;
use self::join::{Evidence, Joined, Seen, Story, join};
use self::view::State;
use super::facts::{Facts, MirrorFacts};
use super::faults::Finding;
use super::{DiagnoseContext, DiagnoseOptions};
use crate::cluster::{Cluster, ClusterError};
use crate::report::{Cause, Confidence, DiagnoseReport, PodRef, Verdict};

/// Which pod, and which container of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodQuestion {
    /// The namespace; a Kubernetes name, see [`is_name`].
    pub namespace: String,
    /// The pod; a Kubernetes name.
    pub name: String,
    /// The container; else the one whose image does not come.
    pub container: Option<String>,
    /// The platform to ask for, instead of the node's.
    pub platform: Option<Platform>,
}

/// Why a pod cannot be diagnosed.
#[derive(Debug, Error)]
pub enum PodError {
    /// The pod cannot be read: without it nothing is known.
    #[error(transparent)]
    Read(ClusterError),
    /// It has no container of that name.
    #[error("pod {pod} has no container of that name; it has {there}")]
    NoSuchContainer {
        /// The pod.
        pod: String,
        /// The names of its containers.
        there: String,
    },
}

/// Reads the pod and what belongs to it, asks its registry, and judges.
///
/// # Errors
/// Only when the pod itself cannot be read; what else may not be read is said in the report.
pub async fn pod(
    context: &DiagnoseContext,
    cluster: &Cluster,
    question: &PodQuestion,
    options: &DiagnoseOptions,
    clock: &Clock,
) -> Result<DiagnoseReport, PodError> {
    let gathered = gather::gather(context, cluster, question, options, clock).await?;
    Ok(report(&gathered))
}

/// From what was gathered to the report. Pure.
fn report(gathered: &Gathered) -> DiagnoseReport {
    let view = &gathered.view;
    let joined = judge(gathered);
    let image = match view.container.image.trim().parse::<syncd_config::Reference>() {
        Ok(reference) => reference.to_string(),
        Err(_) => syncd_config::text::clean(&view.container.image),
    };
    let shown = |text: &str| syncd_config::text::clean_to(text, 253);
    DiagnoseReport {
        pod: Some(PodRef {
            namespace: shown(&view.namespace),
            name: shown(&view.name),
            container: shown(&view.container.name),
            node: view.node.as_deref().map(shown),
        }),
        verdict: Verdict {
            cause: joined.finding.cause,
            confidence: joined.finding.confidence,
            summary: summary::summary(gathered, &joined),
            evidence: joined.finding.evidence.clone(),
        },
        alternatives: joined.finding.alternatives.clone(),
        checks: checks::checks(gathered),
        fixes: fixes::fixes(gathered, &joined, &image),
        image,
    }
}

/// The cause, also of pods that no image holds up.
fn judge(gathered: &Gathered) -> Joined {
    let view = &gathered.view;
    let of = |finding| Joined {
        finding,
        story: Story::Words,
    };
    if let Some(words) = &view.stuck {
        let words = syncd_config::text::clean(words);
        return of(Finding::new(
            Cause::NotImageProblem,
            Confidence::Likely,
            &words,
            "",
        ));
    }
    let mut joined = join(&Evidence {
        told: &gathered.told,
        creds: &gathered.creds,
        seen: gathered.seen(),
        mirror_lacks: gathered.mirror_lacks().is_some(),
    });
    match &view.container.state {
        State::Well => of(Finding::new(Cause::None, Confidence::Certain, "", "")),
        State::Stuck { reason, message } if join::family(joined.finding.cause) == join::Family::None => {
            let words = syncd_config::text::clean(&format!("{reason}: {message}"));
            of(Finding::new(
                Cause::NotImageProblem,
                Confidence::Likely,
                &words,
                "",
            ))
        }
        // Nothing has failed yet; what is seen from here may be what the node will meet.
        State::Starting if gathered.told.ranked.is_empty() => {
            joined.finding.confidence = Confidence::Possible;
            joined
        }
        _ => joined,
    }
}

impl Gathered {
    fn seen(&self) -> &Seen {
        match &self.probed {
            Ok(probed) => &probed.seen,
            Err(_) => &Seen::NotAsked,
        }
    }

    fn facts(&self) -> Option<&Facts> {
        self.probed.as_ref().ok().map(|probed| &probed.facts)
    }

    /// What the configured mirror was asked for and does not have.
    fn mirror_lacks(&self) -> Option<&str> {
        match &self.facts()?.mirror {
            MirrorFacts::Missing { name, .. } => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod tests;
