//! Following changes: a list, then what happens after it, for ever.
//!
//! Each watch asks for metadata only and is begun again every [`TIMEOUT`] seconds. It goes on from
//! the version it has seen; when the API no longer knows that version (410), or after
//! [`PATIENCE`] failures in a row, it lists again.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Resource;
use kube::api::{Request, WatchParams};
use kube::core::WatchEvent as ApiEvent;
use tokio::time::{Instant, sleep, timeout};

use super::meta::{self, Item};
use super::request::Doing;
use super::secrets::named;
use super::{Cluster, ClusterError, ClusterErrorKind, NamespaceMeta, SecretMeta, Verb};

/// After so many seconds the API ends a watch, and it is begun again.
const TIMEOUT: u32 = 200;

/// A watch on which not even the end came in time is dead.
const SILENCE: Duration = Duration::from_secs(TIMEOUT as u64 + 5);

/// A watch that ends sooner is not asked for again at once.
const SHORT: Duration = Duration::from_secs(1);

/// The pauses after failures grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// After so many failures in a row what was seen before is not trusted any more.
const PATIENCE: u32 = 5;

/// The type of pull secrets is told apart by selector: metadata does not name it.
const IS_DOCKER_CONFIG: [(bool, &str); 2] = [(true, "="), (false, "!=")];

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent<T> {
    /// All there is, at the beginning and whenever it had to be listed again. What is not in it is
    /// gone; what has another uid was deleted and made again.
    Synced(Vec<T>),
    /// One was made or changed.
    Applied(T),
    /// One was deleted. Another of its name may have been told of already: compare the uid.
    Deleted(T),
}

/// Whose secrets are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Those of every namespace, in one watch a type.
    All,
    /// Those of these namespaces.
    Names(Vec<String>),
}

/// A watch as a stream that never ends. An error is told and the watch goes on after a pause, up
/// to 30 s with jitter.
pub type Watch<T> = BoxStream<'static, Result<WatchEvent<T>, ClusterError>>;

impl Cluster {
    /// Follows all namespaces.
    pub fn watch_namespaces(&self) -> Watch<NamespaceMeta> {
        let path = Namespace::url_path(&(), None);
        let items = Follower::new(self, "namespaces".to_owned(), path, None).stream();
        items.map(|event| Ok(event?.map(meta::namespace))).boxed()
    }

    /// Follows the secrets of one name. A namespace whose secrets cannot be listed counts as one
    /// without any until they can; the error is told.
    pub fn watch_secrets(&self, namespaces: Watched, name: &str) -> Watch<SecretMeta> {
        let namespaces = match namespaces {
            Watched::All => vec![None],
            Watched::Names(names) => names.into_iter().map(Some).collect(),
        };
        let mut parts = Vec::new();
        for namespace in namespaces {
            for (is_docker_config, sign) in IS_DOCKER_CONFIG {
                let path = Secret::url_path(&(), namespace.as_deref());
                let fields = format!("metadata.name={name},type{sign}kubernetes.io/dockerconfigjson");
                let what = named(namespace.as_deref(), name);
                let items = Follower::new(self, what, path, Some(fields)).stream();
                let number = parts.len();
                let part = items.map(move |event| {
                    let secret = |item| meta::secret(item, is_docker_config);
                    (number, event.map(|event| event.map(secret)))
                });
                parts.push(part.boxed());
            }
        }
        let mut union = Union::of(parts.len());
        let first = union.first();
        let events =
            stream::select_all(parts).flat_map(move |(part, event)| stream::iter(union.join(part, event)));
        stream::iter(first).chain(events).chain(stream::pending()).boxed()
    }
}

impl<T> WatchEvent<T> {
    fn map<U>(self, mut change: impl FnMut(T) -> U) -> WatchEvent<U> {
        match self {
            Self::Synced(items) => WatchEvent::Synced(items.into_iter().map(change).collect()),
            Self::Applied(item) => WatchEvent::Applied(change(item)),
            Self::Deleted(item) => WatchEvent::Deleted(change(item)),
        }
    }
}

/// One watch.
struct Follower {
    cluster: Cluster,
    what: String,
    path: String,
    fields: Option<String>,
    state: State,
    /// The newest version that was seen.
    version: String,
    /// How many in a row.
    failures: u32,
    pause: Duration,
}

enum State {
    List,
    Begin,
    Follow {
        events: BoxStream<'static, kube::Result<ApiEvent<Item>>>,
        since: Instant,
    },
}

impl Follower {
    fn new(cluster: &Cluster, what: String, path: String, fields: Option<String>) -> Self {
        Self {
            cluster: cluster.clone(),
            what,
            path,
            fields,
            state: State::List,
            version: String::new(),
            failures: 0,
            pause: Duration::ZERO,
        }
    }

    fn stream(self) -> impl futures::Stream<Item = Result<WatchEvent<Item>, ClusterError>> + Send {
        stream::unfold(self, |mut follower| async move {
            loop {
                match std::mem::take(&mut follower.pause) {
                    // Not even a tick of the timer between two events.
                    Duration::ZERO => {}
                    pause => sleep(pause).await,
                }
                match follower.step().await {
                    Ok(Some(event)) => return Some((Ok(event), follower)),
                    Ok(None) => {}
                    Err(error) => {
                        follower.failed(&error);
                        return Some((Err(error), follower));
                    }
                }
            }
        })
    }

    async fn step(&mut self) -> Result<Option<WatchEvent<Item>>, ClusterError> {
        match &mut self.state {
            State::List => self.list().await.map(Some),
            State::Begin => self.begin().await.map(|()| None),
            State::Follow { events, since } => {
                let (since, heard) = (*since, timeout(SILENCE, events.next()).await);
                self.heard(since, heard.ok())
            }
        }
    }

    async fn list(&mut self) -> Result<WatchEvent<Item>, ClusterError> {
        let doing = Doing::new(Verb::List, &self.what);
        let listed = self
            .cluster
            .list_metadata(doing, &self.path, self.fields.as_deref());
        let (items, version) = listed.await?;
        self.version = version;
        self.state = State::Begin;
        Ok(WatchEvent::Synced(items))
    }

    async fn begin(&mut self) -> Result<(), ClusterError> {
        let doing = Doing::new(Verb::Watch, &self.what);
        let params = WatchParams {
            field_selector: self.fields.clone(),
            timeout: Some(TIMEOUT),
            ..WatchParams::default()
        };
        let request = Request::new(&self.path).watch_metadata(&params, &self.version);
        let request = request.map_err(|error| doing.failed(kube::Error::BuildRequest(error)))?;
        let events = self.cluster.client.request_events::<Item>(request).await;
        self.state = State::Follow {
            events: events.map_err(|error| doing.failed(error))?.boxed(),
            since: Instant::now(),
        };
        Ok(())
    }

    /// What came from a watch that runs since `since`: nothing for too long, its end, or an event.
    fn heard(
        &mut self,
        since: Instant,
        heard: Option<Option<kube::Result<ApiEvent<Item>>>>,
    ) -> Result<Option<WatchEvent<Item>>, ClusterError> {
        let doing = Doing::new(Verb::Watch, &self.what);
        match heard {
            Some(Some(Ok(ApiEvent::Added(item) | ApiEvent::Modified(item)))) => {
                self.saw(item.metadata.resource_version.as_deref());
                Ok(Some(WatchEvent::Applied(item)))
            }
            Some(Some(Ok(ApiEvent::Deleted(item)))) => {
                self.saw(item.metadata.resource_version.as_deref());
                Ok(Some(WatchEvent::Deleted(item)))
            }
            Some(Some(Ok(ApiEvent::Bookmark(mark)))) => {
                self.saw(Some(&mark.metadata.resource_version));
                Ok(None)
            }
            Some(Some(Ok(ApiEvent::Error(status)))) => Err(doing.status(*status)),
            Some(Some(Err(error))) => Err(doing.failed(error)),
            Some(None) => {
                if since.elapsed() < SHORT {
                    self.pause = SHORT;
                } else {
                    self.failures = 0;
                }
                self.state = State::Begin;
                Ok(None)
            }
            None => Err(doing.error(
                ClusterErrorKind::Unreachable,
                format!("nothing was heard for {} s", SILENCE.as_secs()),
            )),
        }
    }

    fn saw(&mut self, version: Option<&str>) {
        self.failures = 0;
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            version.clone_into(&mut self.version);
        }
    }

    fn failed(&mut self, error: &ClusterError) {
        self.failures = self.failures.saturating_add(1);
        self.pause = pause(self.failures, fastrand::f64());
        let listing = matches!(self.state, State::List);
        let lost = error.kind == ClusterErrorKind::Gone || self.failures >= PATIENCE;
        self.state = if listing || lost {
            State::List
        } else {
            State::Begin
        };
    }
}

/// Between half of the step and the whole of it, by `random` in 0..1.
fn pause(failures: u32, random: f64) -> Duration {
    let doubled = PAUSES.0.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(PAUSES.1).mul_f64(0.5 + random / 2.0)
}

/// Several watches as one: what is known of each part, and whether each was heard once.
struct Union {
    parts: Vec<BTreeMap<String, SecretMeta>>,
    heard: Vec<bool>,
}

type Event = Result<WatchEvent<SecretMeta>, ClusterError>;

impl Union {
    fn of(parts: usize) -> Self {
        Self {
            parts: vec![BTreeMap::new(); parts],
            heard: vec![false; parts],
        }
    }

    /// Of no parts everything is known.
    fn first(&self) -> Option<Event> {
        self.parts.is_empty().then(|| Ok(WatchEvent::Synced(Vec::new())))
    }

    /// What an event of one part says about the whole.
    fn join(&mut self, part: usize, event: Event) -> Vec<Event> {
        let complete = self.complete();
        let (Some(known), Some(heard)) = (self.parts.get_mut(part), self.heard.get_mut(part)) else {
            return Vec::new();
        };
        match &event {
            Ok(WatchEvent::Synced(secrets)) => {
                *known = secrets
                    .iter()
                    .map(|secret| (secret.uid.clone(), secret.clone()))
                    .collect();
                *heard = true;
                return self.synced().into_iter().collect();
            }
            Ok(WatchEvent::Applied(secret)) => {
                known.insert(secret.uid.clone(), secret.clone());
            }
            Ok(WatchEvent::Deleted(secret)) => {
                known.remove(&secret.uid);
            }
            Err(_) => {
                *heard = true;
                let first = if complete { None } else { self.synced() };
                return [Some(event), first].into_iter().flatten().collect();
            }
        }
        if complete { vec![event] } else { Vec::new() }
    }

    fn complete(&self) -> bool {
        self.heard.iter().all(|heard| *heard)
    }

    fn synced(&self) -> Option<Event> {
        let all = self.parts.iter().flat_map(|part| part.values().cloned());
        self.complete().then(|| Ok(WatchEvent::Synced(all.collect())))
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
