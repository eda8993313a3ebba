//! The pages: plain text and JSON, GET and HEAD only.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics;
use super::view::{Ready, View};

const TEXT: &str = "text/plain; charset=utf-8";

/// The routes of the status listener.
pub fn router(view: View) -> Router {
    Router::new()
        .route("/", get(index))
        .route(
            "/livez",
            get(async || page(StatusCode::OK, TEXT, "ok\n".to_owned())),
        )
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/api/v1/report", get(report))
        .fallback(async || page(StatusCode::NOT_FOUND, TEXT, "nothing here; see /\n".to_owned()))
        .with_state(view)
}

async fn index(State(view): State<View>) -> Response {
    let text = format!(
        "syncd {}\n\n\
         /livez           is the process alive\n\
         /readyz?verbose  is it ready, and if not, why\n\
         /metrics         for Prometheus\n\
         /api/v1/report   the last mirror pass, the tasks, the configuration (JSON)\n",
        view.version
    );
    page(StatusCode::OK, TEXT, text)
}

async fn readyz(State(view): State<View>, RawQuery(query): RawQuery) -> Response {
    let ready = view.ready.borrow().clone();
    let status = if ready.all() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part.split('=').next() == Some("verbose"))
    });
    page(status, TEXT, readiness(&ready, verbose || !ready.all()))
}

/// As Kubernetes' own `/readyz` prints it; what fails is always named.
fn readiness(ready: &Ready, verbose: bool) -> String {
    let mut text = String::new();
    if verbose {
        for check in ready.checks() {
            let mark = if check.ok { "[+]" } else { "[-]" };
            text.push_str(&format!("{mark} {}: {}\n", check.name, check.detail));
        }
    }
    text.push_str(if ready.all() { "ready\n" } else { "not ready\n" });
    text
}

async fn metrics_page(State(view): State<View>) -> Response {
    match metrics::render(&view) {
        Ok(text) => page(StatusCode::OK, metrics::CONTENT_TYPE, text),
        Err(error) => {
            tracing::error!(%error, "failed to write the metrics");
            page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "failed to write the metrics\n".to_owned(),
            )
        }
    }
}

async fn report(State(view): State<View>) -> Response {
    match serde_json::to_string_pretty(&view.report()) {
        Ok(mut text) => {
            text.push('\n');
            page(StatusCode::OK, "application/json", text)
        }
        Err(error) => {
            tracing::error!(%error, "failed to write the report");
            page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "failed to write the report\n".to_owned(),
            )
        }
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (status, headers, text).into_response()
}
