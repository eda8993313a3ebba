//! Reads what a pod's diagnosis needs: the pod, its events, its own pull secrets one by one (never
//! a list of them), its account and its node. What may not be read is noted, and the rest goes on.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use serde::{Deserialize, Deserializer};
use syncd_config::Secret;

use super::api::{Question, get, is_name};
use super::freshness::Written;
use super::node::{self, NodeSeen};
use super::told::Event;
use super::view::{PodView, SECRETS};
use crate::cluster::{ClusterError, ClusterErrorKind, Verb};
use crate::diagnose::chain::{PodSecret, SecretSource, SecretState};
use crate::oci::docker_config::{CONFIG_JSON_KEY, CONFIG_KEY};

/// Events of a pod that are read at once, and how often.
const PAGE: usize = 500;
const PAGES: usize = 10;

/// A pull secret as it was found.
#[derive(Clone, Debug)]
pub(super) struct SecretSeen {
    pub(super) secret: PodSecret,
    pub(super) written: Written,
}

/// The pod.
pub(super) async fn pod(client: &kube::Client, namespace: &str, name: &str) -> Result<Pod, ClusterError> {
    let question = Question {
        verb: Verb::Get,
        what: format!("pod {namespace}/{name}"),
        path: format!("/api/v1/namespaces/{namespace}/pods/{name}"),
    };
    get(client, &question).await
}

/// Its events, as many as there are up to a bound.
pub(super) async fn events(client: &kube::Client, view: &PodView) -> Result<Vec<Event>, ClusterError> {
    let namespace = &view.namespace;
    let mut from = String::new();
    let mut events = Vec::new();
    for _ in 0..PAGES {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("fieldSelector", &format!("involvedObject.uid={}", view.uid))
            .append_pair("limit", &PAGE.to_string());
        if !from.is_empty() {
            query.append_pair("continue", &from);
        }
        let question = Question {
            verb: Verb::List,
            what: format!("events of namespace {namespace}"),
            path: format!("/api/v1/namespaces/{namespace}/events?{}", query.finish()),
        };
        let page: EventPage = get(client, &question).await?;
        events.extend(page.items.unwrap_or_default().into_iter().map(Event::from));
        match page.metadata.next {
            Some(next) if !next.is_empty() => from = next,
            _ => break,
        }
    }
    Ok(events)
}

/// core/v1 `Event` as far as it is read; `eventTime` and `series` are those of events.k8s.io/v1.
#[derive(Deserialize)]
struct EventPage {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<RawEvent>>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent {
    reason: Option<String>,
    message: Option<String>,
    count: Option<i64>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    series: Option<Series>,
    involved_object: Option<Involved>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    count: Option<i64>,
    last_observed_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Involved {
    field_path: Option<String>,
}

impl From<RawEvent> for Event {
    fn from(raw: RawEvent) -> Self {
        let (series_count, series_at) = raw
            .series
            .map_or((None, None), |series| (series.count, series.last_observed_time));
        let times = [series_at, raw.last_timestamp, raw.event_time, raw.first_timestamp];
        let path = raw.involved_object.and_then(|about| about.field_path);
        // `spec.containers{main}`, `spec.initContainers{fetch}`.
        let container = path.and_then(|path| {
            let (_, rest) = path.split_once('{')?;
            Some(rest.strip_suffix('}')?.to_owned())
        });
        Self {
            reason: raw.reason.unwrap_or_default(),
            message: raw.message.unwrap_or_default(),
            container,
            at: times.into_iter().flatten().find_map(|time| time.parse().ok()),
            count: series_count
                .or(raw.count)
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
        }
    }
}

/// The pull secrets that the pod names, each by `get`; kubelet reads all of them, so those over the
/// bound are there as unread.
pub(super) async fn secrets(client: &kube::Client, view: &PodView) -> Vec<SecretSeen> {
    let reads = view.secrets.iter().enumerate().map(|(at, name)| async move {
        let (state, written) = if at >= SECRETS {
            let why = format!("only the first {SECRETS} pull secrets of a pod are read");
            (SecretState::Forbidden { why }, Written::default())
        } else if is_name(name) {
            secret(client, &view.namespace, name)
                .await
                .unwrap_or_else(|error| {
                    let state = match error.kind {
                        ClusterErrorKind::NotFound => SecretState::Missing,
                        _ => SecretState::Forbidden {
                            why: error.to_string(),
                        },
                    };
                    (state, Written::default())
                })
        } else {
            // No object can have such a name.
            (SecretState::Missing, Written::default())
        };
        SecretSeen {
            secret: PodSecret {
                namespace: view.namespace.clone(),
                name: name.clone(),
                source: SecretSource::Pod,
                state,
            },
            written,
        }
    });
    futures::future::join_all(reads).await
}

async fn secret(
    client: &kube::Client,
    namespace: &str,
    name: &str,
) -> Result<(SecretState, Written), ClusterError> {
    let question = Question {
        verb: Verb::Get,
        what: format!("secret {namespace}/{name}"),
        path: format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
    };
    Ok(get::<RawSecret>(client, &question).await?.into())
}

impl From<RawSecret> for (SecretState, Written) {
    fn from(raw: RawSecret) -> Self {
        let data = raw.data.unwrap_or_default();
        let keys = [(CONFIG_JSON_KEY, data.json), (CONFIG_KEY, data.cfg)];
        let managed = raw.metadata.managed_fields.unwrap_or_default();
        let times = managed.into_iter().filter_map(|managed| managed.time);
        let times = times.chain(raw.metadata.creation_timestamp);
        let state = SecretState::Present {
            type_: raw.type_.unwrap_or_default(),
            data: keys
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.0)))
                .collect(),
        };
        let written = Written {
            annotations: raw.metadata.annotations.unwrap_or_default(),
            at: times.filter_map(|time| time.parse::<Timestamp>().ok()).max(),
        };
        (state, written)
    }
}

#[derive(Deserialize)]
struct RawSecret {
    metadata: RawMeta,
    #[serde(rename = "type")]
    type_: Option<String>,
    data: Option<RawData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<String>,
    managed_fields: Option<Vec<Managed>>,
}

#[derive(Deserialize)]
struct Managed {
    time: Option<String>,
}

/// The two keys that kubelet looks at; other keys of a secret are nobody's business here.
#[derive(Default, Deserialize)]
struct RawData {
    #[serde(rename = ".dockerconfigjson")]
    json: Option<Encoded>,
    #[serde(rename = ".dockercfg")]
    cfg: Option<Encoded>,
}

/// A value in base64. Its errors hold nothing of it.
struct Encoded(Secret);

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Secret::new(String::deserialize(from)?);
        let bytes = STANDARD
            .decode(text.expose())
            .map_err(|_| serde::de::Error::custom("a value is not base64"))?;
        // As Go's JSON reader does: what is not UTF-8 is replaced.
        Ok(Self(Secret::new(String::from_utf8_lossy(&bytes).into_owned())))
    }
}

/// The pull secrets that the pod's account has now; asked for only when the pod has none.
pub(super) async fn of_account(client: &kube::Client, view: &PodView) -> Result<Vec<String>, ClusterError> {
    let (namespace, name) = (&view.namespace, &view.account);
    if !is_name(name) {
        return Ok(Vec::new());
    }
    let question = Question {
        verb: Verb::Get,
        what: format!("serviceaccount {namespace}/{name}"),
        path: format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"),
    };
    let account: ServiceAccount = match get(client, &question).await {
        Ok(account) => account,
        Err(error) if error.kind == ClusterErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let secrets = account.image_pull_secrets.unwrap_or_default();
    Ok(secrets
        .into_iter()
        .map(|secret| secret.name)
        .filter(|name| is_name(name))
        .take(SECRETS)
        .collect())
}

/// The pod's node.
pub(super) async fn node(client: &kube::Client, view: &PodView) -> NodeSeen {
    let Some(name) = view.node.as_ref().filter(|name| is_name(name)) else {
        return NodeSeen::Unscheduled;
    };
    let question = Question {
        verb: Verb::Get,
        what: format!("node {name}"),
        path: format!("/api/v1/nodes/{name}"),
    };
    match get::<Node>(client, &question).await {
        Ok(node) => NodeSeen::Seen(node::view(&node, &view.container.image)),
        Err(error) => NodeSeen::Unread(error.to_string()),
    }
}
