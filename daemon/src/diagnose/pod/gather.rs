//! Gathers everything that a pod is judged by.

use jiff::Timestamp;
use syncd_config::Reference;
use syncd_providers::Clock;

use super::creds::{Creds, Note};
use super::join::{Family, family};
use super::keyring::Keyring;
use super::node::NodeSeen;
use super::probe::{Probed, probe};
use super::read;
use super::told::{Event, Told, told};
use super::view::{PodView, State, view};
use super::{PodError, PodQuestion, keyring};
use crate::cluster::Cluster;
use crate::diagnose::event::{Hop, Ranked};
use crate::diagnose::{DiagnoseContext, DiagnoseOptions};
use crate::oci::hidden::Hidden;
use crate::report::Cause;

/// What was found. Holds no secret.
pub(super) struct Gathered {
    pub(super) view: PodView,
    pub(super) told: Told,
    /// Why the events could not be read.
    pub(super) events: Result<(), String>,
    /// Each pull secret that the pod names, and why it is of use or not.
    pub(super) secrets: Vec<Note>,
    pub(super) creds: Creds,
    /// Why the account could not be read.
    pub(super) account: Result<(), String>,
    pub(super) node: NodeSeen,
    /// The registry's answer, or why it was not asked.
    pub(super) probed: Result<Probed, String>,
    pub(super) now: Timestamp,
}

pub(super) async fn gather(
    context: &DiagnoseContext,
    cluster: &Cluster,
    question: &PodQuestion,
    options: &DiagnoseOptions,
    clock: &Clock,
) -> Result<Gathered, PodError> {
    let (client, now) = (cluster.client(), clock.now());
    let pod = read::pod(&client, &question.namespace, &question.name).await;
    let pod = pod.map_err(PodError::Read)?;
    let view = view(&pod, question.container.as_deref()).map_err(|none| PodError::NoSuchContainer {
        pod: format!("{}/{}", question.namespace, question.name),
        there: none.there.join(", "),
    })?;
    let account = async {
        match view.secrets.is_empty() {
            true => read::of_account(&client, &view).await,
            false => Ok(Vec::new()),
        }
    };
    let (events, secrets, account, node) = tokio::join!(
        read::events(&client, &view),
        read::secrets(&client, &view),
        account,
        read::node(&client, &view),
    );
    let later = account.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
    let image: Result<Reference, String> = (view.container.image.trim().parse())
        .map_err(|_| "the image's name is no reference, so no registry is known".to_owned());
    let ring = keyring::keyring(&view.container.image, &secrets, later, now);
    let (view, events) = without_secrets(view, events, &ring);
    let told = told(&view, events.as_deref().unwrap_or_default());
    let probed = match (image, pointless(&view, &told, &ring.creds)) {
        (Ok(image), None) => {
            let options = as_the_node(question, options, &told, &node);
            let probed = probe((context, clock), &image, &ring.credentials, &options).await;
            probed.map_err(|error| syncd_config::text::clean(&error.to_string()))
        }
        (Err(why), _) | (_, Some(why)) => Err(why),
    };
    Ok(Gathered {
        events: events.map(drop).map_err(|error| error.to_string()),
        account: account.map(drop).map_err(|error| error.to_string()),
        secrets: ring.notes,
        creds: ring.creds,
        view,
        told,
        node,
        probed,
        now,
    })
}

/// A registry may repeat what kubelet sent it, and kubelet passes its words on.
fn without_secrets<E>(
    mut view: PodView,
    mut events: Result<Vec<Event>, E>,
    ring: &Keyring,
) -> (PodView, Result<Vec<Event>, E>) {
    let hidden = Hidden::default().and(ring.credentials.iter().map(|one| &one.credential));
    if let State::Pulling { reason, message } | State::Stuck { reason, message } = &mut view.container.state {
        *reason = hidden.taken_out_of(reason);
        *message = hidden.taken_out_of(message);
    }
    for event in events.iter_mut().flatten() {
        event.message = hidden.taken_out_of(&event.message);
    }
    (view, events)
}

/// Why no answer of a registry could say anything. A credential is not sent in vain.
fn pointless(view: &PodView, told: &Told, creds: &Creds) -> Option<String> {
    let why = match (&view.container.state, told.first()) {
        _ if view.stuck.is_some() => "no pull was tried",
        (State::Well, _) => "the image is there",
        _ if matches!(creds, Creds::Malformed { .. }) => {
            "kubelet does not get as far with such a pull secret"
        }
        (_, Some(first)) if first.cause == Cause::SandboxImagePull => {
            "it is the pause image that fails, which pull secrets never apply to"
        }
        (_, Some(first)) if family(first.cause) == Family::Node => {
            "what the node says has nothing to do with the registry"
        }
        (State::Stuck { .. }, None) => "the container's trouble is not its image",
        _ => return None,
    };
    Some(why.to_owned())
}

/// The node's platform; and the layers as well when it is a blob that failed.
fn as_the_node(
    question: &PodQuestion,
    options: &DiagnoseOptions,
    told: &Told,
    node: &NodeSeen,
) -> DiagnoseOptions {
    let of_node = match node {
        NodeSeen::Seen(node) => node.platform.as_ref(),
        NodeSeen::Unscheduled | NodeSeen::Unread(_) => None,
    };
    let platform = question.platform.as_ref().or(of_node);
    DiagnoseOptions {
        platform: platform.unwrap_or(&options.platform).clone(),
        blobs: options.blobs || told.first().is_some_and(of_blobs),
        ..options.clone()
    }
}

/// Whether it is a layer or the config that failed.
fn of_blobs(first: &Ranked) -> bool {
    first.hop == Hop::Blob || first.cause == Cause::ContentCorrupt
}
