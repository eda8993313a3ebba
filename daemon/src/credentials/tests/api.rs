//! A Kubernetes API in this process, as far as syncd uses it: strict about what it is asked, and a
//! log of what was written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{BoxError, service_fn};

use crate::cluster::Cluster;

/// The API; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Api(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    namespaces: BTreeMap<String, Value>,
    /// By `namespace/name`.
    secrets: BTreeMap<String, Value>,
    maps: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<String>,
    events: Vec<String>,
    reads: usize,
    watches: Vec<Watch>,
    /// Called at each request to make a secret.
    on_create: Option<Box<dyn FnMut() + Send>>,
    /// `verb path-part` -> what is answered instead, so often.
    faults: Vec<(String, u16, &'static str, usize)>,
}

type Answer = Result<Value, (u16, &'static str)>;

/// Someone who is told of changes.
struct Watch {
    /// `None` for namespaces.
    fields: Option<String>,
    lines: UnboundedSender<String>,
}

impl Api {
    pub(super) fn cluster(&self) -> Cluster {
        let api = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let path = parts.uri.path().to_owned();
                let query: BTreeMap<String, String> =
                    url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                        .into_owned()
                        .collect();
                let body: Value = match body.is_empty() {
                    true => Value::Null,
                    false => serde_json::from_slice(&body)?,
                };
                if query.contains_key("watch") {
                    let lines = api.lock().watch(&path, &query);
                    return Ok(Response::new(told(lines)));
                }
                let answer = api.lock().answer(parts.method.as_str(), &path, &query, &body);
                let (status, value) = match answer {
                    Ok(value) => (200, value),
                    Err((status, reason)) => (
                        status,
                        json!({"kind": "Status", "code": status, "reason": reason, "message": format!("the API says {reason}")}),
                    ),
                };
                let mut response = Response::new(axum::body::Body::from(value.to_string()));
                *response.status_mut() = http::StatusCode::from_u16(status)?;
                Ok::<_, BoxError>(response)
            }
        });
        Cluster::of_client(Client::new(service, "default"), super::US)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn has_namespace(&self, name: &str, label: &str) {
        let mut inner = self.lock();
        let version = inner.next();
        let meta = json!({"name": name, "uid": format!("ns-{version}"), "labels": {"pull": label}});
        let namespace = json!({"metadata": meta});
        inner.namespaces.insert(name.to_owned(), namespace.clone());
        inner.tell("ADDED", &namespace, false);
    }

    pub(super) fn relabel(&self, name: &str, label: &str) {
        let mut inner = self.lock();
        let namespace = inner.namespaces.get_mut(name).unwrap();
        namespace["metadata"]["labels"]["pull"] = json!(label);
        let namespace = namespace.clone();
        inner.tell("MODIFIED", &namespace, false);
    }

    pub(super) fn drop_namespace(&self, name: &str) {
        let mut inner = self.lock();
        if let Some(secret) = inner.secrets.remove(&format!("{name}/pull")) {
            inner.tell("DELETED", &secret, true);
        }
        let namespace = inner.namespaces.remove(name).unwrap();
        inner.tell("DELETED", &namespace, false);
    }

    /// Somebody else's secret.
    pub(super) fn plant(&self, namespace: &str, kind: &str) {
        let mut inner = self.lock();
        let meta = json!({"name": "pull", "namespace": namespace});
        let secret = json!({"metadata": meta, "type": kind, "data": {".dockerconfigjson": "dGhlaXJz"}});
        inner.put(&format!("{namespace}/pull"), secret, "kubectl-create");
    }

    /// Somebody changes the content of a secret and leaves its annotations.
    pub(super) fn edit(&self, namespace: &str) {
        let mut inner = self.lock();
        let mut secret = inner.secrets[&format!("{namespace}/pull")].clone();
        secret["data"][".dockerconfigjson"] = json!("dGhlaXJz");
        inner.put(&format!("{namespace}/pull"), secret, "kubectl-edit");
    }

    pub(super) fn delete(&self, namespace: &str) {
        let mut inner = self.lock();
        let secret = inner.secrets.remove(&format!("{namespace}/pull")).unwrap();
        inner.tell("DELETED", &secret, true);
    }

    /// Somebody takes part in owning the content of a secret without changing it.
    pub(super) fn share(&self, namespace: &str) {
        let mut inner = self.lock();
        let version = inner.next().to_string();
        let meta = &mut inner.secrets.get_mut(&format!("{namespace}/pull")).unwrap()["metadata"];
        meta["managedFields"] = json!([{"manager": "velero", "fieldsV1": {"f:data": {}}}]);
        meta["resourceVersion"] = json!(version);
    }

    /// Has `look` called at each request to make a secret.
    pub(super) fn on_create(&self, look: impl FnMut() + Send + 'static) {
        self.lock().on_create = Some(Box::new(look));
    }

    /// The next `times` requests like `what` (`PATCH team-a/secrets`) are answered so.
    pub(super) fn fail(&self, what: &str, status: u16, reason: &'static str, times: usize) {
        self.lock().faults.push((what.to_owned(), status, reason, times));
    }

    pub(super) fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The docker config in a namespace's secret.
    pub(super) fn content(&self, namespace: &str) -> Option<String> {
        let secret = self.secret(namespace)?;
        let encoded = secret["data"][".dockerconfigjson"].as_str()?.to_owned();
        Some(String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap())
    }

    pub(super) fn secret(&self, namespace: &str) -> Option<Value> {
        self.lock().secrets.get(&format!("{namespace}/pull")).cloned()
    }

    pub(super) fn uid(&self, namespace: &str) -> String {
        self.secret(namespace).unwrap()["metadata"]["uid"].to_string()
    }

    /// What was written since the last time this was asked.
    pub(super) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    /// The events since the last time, as `type reason kind namespace`.
    pub(super) fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().events)
    }

    pub(super) fn reads(&self) -> usize {
        std::mem::take(&mut self.lock().reads)
    }
}

impl Inner {
    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Stores an object as `manager` would: equal content keeps its version and owner.
    fn put(&mut self, key: &str, mut object: Value, manager: &str) -> Value {
        let before = self.secrets.get(key).cloned();
        let version = self.next();
        let meta = &mut object["metadata"];
        if let Some(before) = &before {
            meta["uid"] = before["metadata"]["uid"].clone();
            meta["managedFields"] = before["metadata"]["managedFields"].clone();
            meta["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if *before == object {
                return object;
            }
        } else {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        let is_content = before.is_none_or(|before| before["data"] != object["data"]);
        if is_content {
            object["metadata"]["managedFields"] = json!([{"manager": manager, "fieldsV1": {"f:data": {}}}]);
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        self.secrets.insert(key.to_owned(), object.clone());
        self.tell("MODIFIED", &object, true);
        object
    }

    fn watch(&mut self, path: &str, query: &BTreeMap<String, String>) -> UnboundedReceiver<String> {
        let fields = match path {
            "/api/v1/namespaces" => None,
            "/api/v1/secrets" => Some(query["fieldSelector"].clone()),
            other => panic!("no watch of {other}"),
        };
        let (lines, told) = unbounded_channel();
        self.watches.push(Watch { fields, lines });
        told
    }

    fn tell(&mut self, what: &str, object: &Value, is_secret: bool) {
        let event = json!({"type": what, "object": {"metadata": object["metadata"]}});
        self.watches.retain(|watch| {
            let wants = match &watch.fields {
                Some(fields) => is_secret && is_selected(object, fields),
                None => !is_secret,
            };
            !wants || watch.lines.send(format!("{event}\n")).is_ok()
        });
    }

    fn answer(&mut self, method: &str, path: &str, query: &BTreeMap<String, String>, body: &Value) -> Answer {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let what = format!("{method} {}", parts.get(2..).unwrap_or_default().join("/"));
        for (part, status, reason, times) in &mut self.faults {
            if *times > 0 && what.contains(part.as_str()) {
                *times -= 1;
                return Err((*status, *reason));
            }
        }
        match method {
            "GET" => self.reads += 1,
            _ if parts.contains(&"events") => {}
            _ => self.writes.push(what.replace("namespaces/", "")),
        }
        match (method, parts.as_slice()) {
            ("GET", ["api", "v1", "namespaces"]) => Ok(list(self.namespaces.values().cloned())),
            ("GET", ["api", "v1", "namespaces", name]) => found(self.namespaces.get(*name)),
            ("GET", ["api", "v1", "secrets"]) => self.select(None, query),
            ("GET", ["api", "v1", "namespaces", ns, "secrets"]) => self.select(Some(ns), query),
            ("GET", ["api", "v1", "namespaces", ns, "secrets", name]) => {
                found(self.secrets.get(&format!("{ns}/{name}")))
            }
            ("POST", ["api", "v1", "namespaces", ns, "secrets"]) => self.create(ns, body),
            ("PATCH", ["api", "v1", "namespaces", ns, "secrets", name]) => self.patch(ns, name, body),
            ("DELETE", ["api", "v1", "namespaces", ns, "secrets", name]) => {
                self.delete(&format!("{ns}/{name}"), body)
            }
            ("GET", ["api", "v1", "namespaces", ns, "configmaps", name]) => {
                found(self.maps.get(&format!("{ns}/{name}")))
            }
            ("POST", ["api", "v1", "namespaces", ns, "configmaps"]) => {
                let name = body["metadata"]["name"].as_str().unwrap();
                self.map(&format!("{ns}/{name}"), &body["data"])
            }
            ("PATCH", ["api", "v1", "namespaces", ns, "configmaps", name]) => {
                self.map(&format!("{ns}/{name}"), &body[1]["value"])
            }
            ("POST", ["apis", "events.k8s.io", "v1", "namespaces", ns, "events"]) => {
                let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (kind, reason) = (of(&body["type"]), of(&body["reason"]));
                let about = of(&body["regarding"]["kind"]);
                self.events.push(format!("{kind} {reason} {about} {ns}"));
                Ok(body.clone())
            }
            ("PATCH", ["apis", "events.k8s.io", "v1", "namespaces", ns, "events", _]) => {
                self.events.push(format!("once more {ns}"));
                Ok(body.clone())
            }
            _ => Err((501, "NotAskedOfAnApi")),
        }
    }

    fn select(&self, namespace: Option<&str>, query: &BTreeMap<String, String>) -> Answer {
        let fields = query.get("fieldSelector").ok_or((403, "Forbidden"))?;
        let selected = self.secrets.values().filter(|secret| {
            let meta = &secret["metadata"];
            let is_here = namespace.is_none_or(|namespace| meta["namespace"] == namespace);
            is_here && is_selected(secret, fields)
        });
        Ok(list(
            selected.map(|secret| json!({"metadata": secret["metadata"]})),
        ))
    }

    fn create(&mut self, namespace: &str, body: &Value) -> Answer {
        if let Some(look) = &mut self.on_create {
            look();
        }
        if !self.namespaces.contains_key(namespace) {
            return Err((404, "NotFound"));
        }
        let name = body["metadata"]["name"].as_str().unwrap();
        let key = format!("{namespace}/{name}");
        if self.secrets.contains_key(&key) {
            return Err((409, "AlreadyExists"));
        }
        Ok(self.put(&key, body.clone(), "syncd"))
    }

    fn patch(&mut self, namespace: &str, name: &str, body: &Value) -> Answer {
        let key = format!("{namespace}/{name}");
        let mut secret = self.secrets.get(&key).cloned().ok_or((404, "NotFound"))?;
        let version = &body["metadata"]["resourceVersion"];
        assert!(
            version.is_string(),
            "a write must name the version it was planned from"
        );
        if *version != secret["metadata"]["resourceVersion"] {
            return Err((409, "Conflict"));
        }
        merge(&mut secret, body);
        Ok(self.put(&key, secret, "syncd"))
    }

    fn delete(&mut self, key: &str, body: &Value) -> Answer {
        let secret = self.secrets.get(key).ok_or((404, "NotFound"))?;
        let asked = &body["preconditions"];
        let is_same = asked["uid"] == secret["metadata"]["uid"]
            && asked["resourceVersion"] == secret["metadata"]["resourceVersion"];
        if !is_same {
            return Err((409, "Conflict"));
        }
        self.secrets.remove(key);
        Ok(json!({"kind": "Status", "status": "Success"}))
    }

    fn map(&mut self, key: &str, data: &Value) -> Answer {
        let version = self.next().to_string();
        let object = json!({"metadata": {"resourceVersion": version}, "data": data});
        self.maps.insert(key.to_owned(), object.clone());
        Ok(object)
    }
}

/// What a watch is told, as a body that does not end.
fn told(lines: UnboundedReceiver<String>) -> axum::body::Body {
    axum::body::Body::from_stream(futures::stream::unfold(lines, async |mut lines| {
        let line = lines.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), lines))
    }))
}

fn is_selected(secret: &Value, fields: &str) -> bool {
    fields.split(',').all(|field| match field.split_once("!=") {
        Some(("type", value)) => secret["type"] != value,
        _ => match field.split_once('=') {
            Some(("type", value)) => secret["type"] == value,
            Some(("metadata.name", value)) => secret["metadata"]["name"] == value,
            _ => false,
        },
    })
}

fn found(object: Option<&Value>) -> Answer {
    object.cloned().ok_or((404, "NotFound"))
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({"metadata": {"resourceVersion": "1"}, "items": items.collect::<Vec<_>>()})
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                into.as_object_mut().unwrap().remove(key);
            }
            value => merge(&mut into[key], value),
        }
    }
}
