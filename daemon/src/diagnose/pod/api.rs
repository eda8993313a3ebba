//! Reads single objects of the Kubernetes API. Bounded in size and time; a body that cannot be
//! understood is named by its place in it and never shown, for it may hold a secret (the
//! client's own typed calls log such a body).

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use syncd_config::text::clean;
use tokio::time::timeout;

use crate::cluster::{ClusterError, ClusterErrorKind, Verb};

/// The end of one question to the API.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most of an answer that is read.
const ANSWER: usize = 16 << 20;

/// What is asked: the words of RBAC, and where.
pub(super) struct Question {
    pub(super) verb: Verb,
    /// `secret team-a/regcred`.
    pub(super) what: String,
    /// Path and query. Names in it have passed [`is_name`].
    pub(super) path: String,
}

/// Whether a text may be the name of a Kubernetes object (RFC 1123 subdomain): only such a text
/// goes into a path or into a command.
pub fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let bytes = label.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inner)
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Asks once.
///
/// # Errors
/// By kind; the API's own words are escaped and cut.
pub(super) async fn get<T: DeserializeOwned>(
    client: &kube::Client,
    question: &Question,
) -> Result<T, ClusterError> {
    match timeout(DEADLINE, exchange(client, question)).await {
        Ok(answer) => answer,
        Err(_) => Err(error(
            question,
            ClusterErrorKind::Unreachable,
            "no answer within 10 s",
        )),
    }
}

async fn exchange<T: DeserializeOwned>(
    client: &kube::Client,
    question: &Question,
) -> Result<T, ClusterError> {
    let other = |words: &str| error(question, ClusterErrorKind::Other, words);
    let request = Request::get(&question.path)
        .body(Body::empty())
        .map_err(|_| other("the question makes no request"))?;
    let response = client.send(request).await.map_err(|source| ClusterError {
        source: Some(Box::new(source)),
        ..error(question, ClusterErrorKind::Unreachable, "")
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    let body = body
        .map_err(|_| {
            error(
                question,
                ClusterErrorKind::Unreachable,
                "the answer breaks off or is over 16 MiB",
            )
        })?
        .to_bytes();
    if status != StatusCode::OK {
        return Err(refused(question, status, &body));
    }
    serde_json::from_slice(&body).map_err(|wrong| {
        let at = format!(
            "the answer is not of the expected form (line {}, column {})",
            wrong.line(),
            wrong.column()
        );
        other(&at)
    })
}

/// `Status` of the API (meta/v1), as far as it is shown.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

fn refused(question: &Question, status: StatusCode, body: &[u8]) -> ClusterError {
    let words = serde_json::from_slice::<Refusal>(body).map_or_else(|_| String::new(), |told| told.message);
    let words = if words.is_empty() {
        format!("HTTP status {}", status.as_u16())
    } else {
        clean(&words)
    };
    error(question, kind(status), &words)
}

fn kind(status: StatusCode) -> ClusterErrorKind {
    match status {
        StatusCode::UNAUTHORIZED => ClusterErrorKind::Unauthenticated,
        StatusCode::FORBIDDEN => ClusterErrorKind::Forbidden,
        StatusCode::NOT_FOUND => ClusterErrorKind::NotFound,
        StatusCode::GONE => ClusterErrorKind::Gone,
        StatusCode::TOO_MANY_REQUESTS => ClusterErrorKind::Throttled,
        status if status.is_server_error() => ClusterErrorKind::Unreachable,
        _ => ClusterErrorKind::Other,
    }
}

fn error(question: &Question, kind: ClusterErrorKind, detail: &str) -> ClusterError {
    ClusterError {
        kind,
        verb: question.verb,
        what: question.what.clone(),
        detail: detail.to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn only_names_go_into_paths_and_commands() {
        for good in ["a", "regcred", "team-a.pull", "0-0", &"a".repeat(253)] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a/b",
            "../x",
            "a..b",
            ".a",
            "a b",
            "a$(id)",
            "a;b",
            "é",
            "a\n",
            "a?b",
            "%2e",
            &"a".repeat(254),
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
