//! A pod as far as a diagnosis needs it: the container that has the trouble, and in which state
//! it is. Pure; what the API sent is bounded here, and made safe when it is shown.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};
use syncd_config::Reference;
use syncd_config::reference::ReferenceError;
use syncd_config::text::clean_to;

/// The reasons for waiting that kubelet gives when an image does not come (pkg/kubelet/images and
/// pkg/kubelet/container/sync_result.go of Kubernetes).
const PULLS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// Containers of a pod that are looked at.
const CONTAINERS: usize = 200;
/// Pull secrets of a pod that are read.
pub(super) const SECRETS: usize = 16;
/// Pull secrets of a pod that are spoken of. What is over [`SECRETS`] counts as unread.
const NAMED: usize = 64;

/// A pod, from the side of one of its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodView {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Where it is scheduled to.
    pub(super) node: Option<String>,
    pub(super) account: String,
    /// The names in its `imagePullSecrets`, in their order.
    pub(super) secrets: Vec<String>,
    /// Whether something makes it again when it is deleted.
    pub(super) owned: bool,
    pub(super) container: ContainerView,
    /// Other containers of it whose image does not come either.
    pub(super) others: usize,
    /// Why the pod as a whole does not go on: not scheduled, evicted.
    pub(super) stuck: Option<String>,
}

/// The container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContainerView {
    pub(super) name: String,
    pub(super) image: String,
    /// `imagePullPolicy: Never`.
    pub(super) never: bool,
    pub(super) state: State,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its image does not come.
    Pulling { reason: String, message: String },
    /// It does not start, for another reason.
    Stuck { reason: String, message: String },
    /// Nothing was tried yet, or the trying has not ended.
    Starting,
    /// It runs, or it has done what it had to do.
    Well,
}

/// The pod has no container of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoSuchContainer {
    /// Those that it has, safe to show.
    pub(super) there: Vec<String>,
}

/// The pod from the side of the container `wanted`, else of the one that fails.
pub(super) fn view(pod: &Pod, wanted: Option<&str>) -> Result<PodView, NoSuchContainer> {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let all = containers(pod, status);
    let failing = |container: &&ContainerView| matches!(container.state, State::Pulling { .. });
    let chosen = match wanted {
        Some(name) => all.iter().find(|container| container.name == name),
        None => all.iter().min_by_key(|container| rank(&container.state)),
    };
    let Some(chosen) = chosen else {
        return Err(NoSuchContainer {
            there: all.iter().map(|c| clean_to(&c.name, 63)).collect(),
        });
    };
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let secrets = spec.and_then(|spec| spec.image_pull_secrets.as_ref());
    Ok(PodView {
        namespace: text(pod.metadata.namespace.as_ref()),
        name: text(pod.metadata.name.as_ref()),
        uid: text(pod.metadata.uid.as_ref()),
        node: spec
            .and_then(|spec| spec.node_name.clone())
            .filter(|name| !name.is_empty()),
        account: match text(spec.and_then(|spec| spec.service_account_name.as_ref())) {
            name if name.is_empty() => "default".to_owned(),
            name => name,
        },
        secrets: secrets
            .into_iter()
            .flatten()
            .map(|secret| secret.name.clone())
            .filter(|name| !name.is_empty())
            .take(NAMED)
            .collect(),
        owned: pod
            .metadata
            .owner_references
            .as_ref()
            .is_some_and(|o| !o.is_empty()),
        others: all
            .iter()
            .filter(failing)
            .filter(|other| other.name != chosen.name)
            .count(),
        stuck: stuck(status),
        container: chosen.clone(),
    })
}

/// The image as a reference, as kubelet reads it.
pub(super) fn reference(image: &str) -> Result<Reference, ReferenceError> {
    image.trim().parse()
}

/// The worst first.
fn rank(state: &State) -> u8 {
    match state {
        State::Pulling { .. } => 0,
        State::Stuck { .. } => 1,
        State::Starting => 2,
        State::Well => 3,
    }
}

/// Those that are started first come first.
fn containers(pod: &Pod, status: &PodStatus) -> Vec<ContainerView> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let of = |containers: &[Container], states: Option<&Vec<ContainerStatus>>| {
        let seen = |container: &Container| ContainerView {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            never: container.image_pull_policy.as_deref() == Some("Never"),
            state: state(&container.name, states.map_or(&[][..], Vec::as_slice)),
        };
        containers.iter().map(seen).collect::<Vec<_>>()
    };
    let mut all = of(
        spec.init_containers.as_deref().unwrap_or_default(),
        status.init_container_statuses.as_ref(),
    );
    all.extend(of(&spec.containers, status.container_statuses.as_ref()));
    let later = spec.ephemeral_containers.as_deref().unwrap_or_default();
    let states = status.ephemeral_container_statuses.as_deref().unwrap_or_default();
    all.extend(later.iter().map(|container| ContainerView {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        never: container.image_pull_policy.as_deref() == Some("Never"),
        state: state(&container.name, states),
    }));
    all.truncate(CONTAINERS);
    all
}

fn state(name: &str, statuses: &[ContainerStatus]) -> State {
    let Some(state) = statuses
        .iter()
        .find(|status| status.name == name)
        .and_then(|status| status.state.as_ref())
    else {
        return State::Starting;
    };
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        let message = waiting.message.clone().unwrap_or_default();
        return match reason.as_str() {
            pulls if PULLS.contains(&pulls) => State::Pulling { reason, message },
            "" | "ContainerCreating" | "PodInitializing" => State::Starting,
            _ => State::Stuck { reason, message },
        };
    }
    match &state.terminated {
        Some(ended) if ended.exit_code != 0 => State::Stuck {
            reason: ended.reason.clone().unwrap_or_else(|| "Error".to_owned()),
            message: match ended.message.as_deref() {
                Some(words) if !words.is_empty() => words.to_owned(),
                _ => format!("it ended with code {}", ended.exit_code),
            },
        },
        _ => State::Well,
    }
}

/// Why no container of the pod can go on.
fn stuck(status: &PodStatus) -> Option<String> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let words = |reason: Option<&str>, message: Option<&str>| {
        let parts = [reason, message].map(|part| part.unwrap_or_default().trim());
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    };
    if let Some(condition) = unscheduled {
        return Some(words(
            condition.reason.as_deref().or(Some("not scheduled")),
            condition.message.as_deref(),
        ));
    }
    let failed = status.phase.as_deref() == Some("Failed");
    let said = words(status.reason.as_deref(), status.message.as_deref());
    (failed && !said.is_empty()).then_some(said)
}
