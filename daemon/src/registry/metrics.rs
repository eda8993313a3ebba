//! Counters of the embedded registry, for whoever shows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, StatusCode};

use super::path::RouteClass;

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other"];
const ROUTES: [(RouteClass, &str); 6] = [
    (RouteClass::Ping, "ping"),
    (RouteClass::Manifest, "manifest"),
    (RouteClass::Blob, "blob"),
    (RouteClass::Upload, "upload"),
    (RouteClass::List, "list"),
    (RouteClass::Other, "other"),
];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const CELLS: usize = METHODS.len() * ROUTES.len() * CLASSES.len();

/// What the registry has counted since it was made. Labels come from closed sets.
#[derive(Debug)]
pub struct Metrics {
    requests: [AtomicU64; CELLS],
    /// Bytes of blobs sent.
    pub bytes_served: Arc<AtomicU64>,
    /// Bytes of blobs and manifests received.
    pub bytes_received: AtomicU64,
    /// Connections open now.
    pub connections: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: std::array::from_fn(|_| AtomicU64::new(0)),
            bytes_served: Arc::default(),
            bytes_received: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }
}

/// One counter of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// `GET`, … or `other`.
    pub method: &'static str,
    /// `ping`, `manifest`, `blob`, `upload`, `list` or `other`.
    pub route: &'static str,
    /// `2xx`, `3xx`, `4xx` or `5xx`.
    pub status: &'static str,
    /// How many.
    pub count: u64,
}

impl Metrics {
    pub(crate) fn count(&self, method: &Method, route: RouteClass, status: StatusCode) {
        let method = METHODS
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(METHODS.len() - 1);
        let route = ROUTES
            .iter()
            .position(|(class, _)| *class == route)
            .unwrap_or(ROUTES.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        if let Some(cell) = self
            .requests
            .get((method * ROUTES.len() + route) * CLASSES.len() + class)
        {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters of requests that are not zero.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestCount> {
        let labels = METHODS.iter().flat_map(|method| {
            ROUTES
                .iter()
                .flat_map(move |(_, route)| CLASSES.iter().map(move |status| (*method, *route, *status)))
        });
        self.requests
            .iter()
            .zip(labels)
            .map(|(cell, (method, route, status))| RequestCount {
                method,
                route,
                status,
                count: cell.load(Ordering::Relaxed),
            })
            .filter(|row| row.count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_closed_labels() {
        let metrics = Metrics::default();
        let odd = Method::from_bytes(b"BREW").unwrap();
        metrics.count(&Method::GET, RouteClass::Blob, StatusCode::PARTIAL_CONTENT);
        metrics.count(&Method::GET, RouteClass::Blob, StatusCode::OK);
        metrics.count(&odd, RouteClass::Other, StatusCode::NOT_FOUND);
        metrics.count(
            &Method::DELETE,
            RouteClass::Other,
            StatusCode::INTERNAL_SERVER_ERROR,
        );
        let shown: Vec<String> = metrics
            .requests()
            .iter()
            .map(|row| format!("{} {} {} {}", row.method, row.route, row.status, row.count))
            .collect();
        assert_eq!(
            shown,
            ["GET blob 2xx 2", "DELETE other 5xx 1", "other other 4xx 1"]
        );
    }
}
