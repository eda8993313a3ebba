//! A registry that answers what a test says, and tells what it was asked.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Method};
use syncd_config::RegistryHost;
use syncd_config::config::{Limits, Proxy, RegistryEntry};
use syncd_providers::Clock;

use super::auth::Anonymous;
use super::http::RegistryClient;

/// A request that came, with its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    /// `None` when the body broke off.
    pub(crate) body: Option<Bytes>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running scripted registry. Ends with its runtime.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) host: RegistryHost,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    /// Starts one on a loopback port of its own.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answer = Arc::new(answer);
        let log = Arc::clone(&asked);
        let handle = move |request: Request| {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let asked = Asked {
                    method: parts.method,
                    uri: parts.uri.to_string(),
                    headers: parts.headers,
                    body: axum::body::to_bytes(body, 1 << 24).await.ok(),
                };
                log.lock().unwrap().push(asked.clone());
                answer(&asked)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string().parse().unwrap();
        let app = axum::Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { host, asked }
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// All that was asked so far, as `METHOD uri` lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |a: &Asked| format!("{} {}", a.method, a.uri);
        self.asked().iter().map(line).collect()
    }
}

/// An entry that speaks plain http to `host`, as nobody.
pub(crate) fn entry(host: &RegistryHost) -> RegistryEntry {
    RegistryEntry {
        name: host.to_string(),
        host: host.clone(),
        identity: None,
        probe: None,
        ca_file: None,
        plain_http: true,
        trusted_token_hosts: Vec::new(),
        proxy: Proxy::Direct,
        limits: Limits::default(),
    }
}

/// A client for registries of tests.
pub(crate) fn client(hosts: &[&RegistryHost]) -> RegistryClient {
    let entries: Vec<_> = hosts.iter().map(|host| entry(host)).collect();
    let clock = Clock::from_tokio("2026-05-01T10:00:00Z".parse().unwrap());
    RegistryClient::new(&entries, Arc::new(Anonymous), clock).unwrap()
}

/// An answer with headers and a body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// A body that breaks off after `content`, when the head has long been sent.
pub(crate) fn broken(content: &'static [u8]) -> Body {
    let parts = [Ok(Bytes::from_static(content)), Err(std::io::Error::other("cut"))];
    Body::from_stream(futures::stream::iter(parts).then(async |part| {
        if part.is_err() {
            tokio::task::yield_now().await;
        }
        part
    }))
}
