//! One exchange: what is asked, and what a refusal means.

use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};
use kube::api::ListParams;
use kube::client::Body;
use kube::core::Status;
use kube::core::request;
use serde::de::DeserializeOwned;

use super::meta::{Item, Page};
use super::{Cluster, ClusterError, ClusterErrorKind, Verb, words};

/// How many items are asked for at once.
const PAGE: u32 = 500;

/// More items than this are not a list that syncd can work on.
const MOST: usize = 100_000;

/// How often a list is begun again when it grew too old between two pages.
const RESTARTS: u32 = 3;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What is being done, for the error that it may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing<'a> {
    pub(super) verb: Verb,
    pub(super) what: &'a str,
    private: &'a [&'a str],
}

impl<'a> Doing<'a> {
    pub(super) const fn new(verb: Verb, what: &'a str) -> Self {
        let private = &[];
        Self { verb, what, private }
    }

    /// The same, with what was sent and must not be quoted.
    pub(super) const fn hiding(self, private: &'a [&'a str]) -> Self {
        Self { private, ..self }
    }

    pub(super) fn error(self, kind: ClusterErrorKind, detail: impl Into<String>) -> ClusterError {
        ClusterError::new(kind, self.verb, self.what, detail)
    }

    /// An answer that is no success.
    fn refused(self, status: StatusCode, body: &[u8]) -> ClusterError {
        let answer = serde_json::from_slice::<Status>(body).ok();
        let kind = kind(status, answer.as_ref());
        let text = match answer {
            Some(answer) => answer.message,
            None => String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned(),
        };
        self.error(kind, words::shown(&text, self.private))
    }

    /// A client's own error; a refusal among them.
    pub(super) fn failed(self, error: kube::Error) -> ClusterError {
        match error {
            kube::Error::Api(answer) => self.status(*answer),
            // Its text may hold what a credential plugin printed.
            kube::Error::Auth(_) => self.error(
                ClusterErrorKind::Unauthenticated,
                "the credential of the kubeconfig or service account could not be had",
            ),
            kube::Error::Service(source) => {
                let mut error = self.error(ClusterErrorKind::Unreachable, "");
                error.source = Some(source);
                error
            }
            kube::Error::HyperError(source) => {
                let mut error = self.error(ClusterErrorKind::Unreachable, "");
                error.source = Some(Box::new(source));
                error
            }
            kube::Error::ReadEvents(source) => {
                let mut error = self.error(ClusterErrorKind::Unreachable, "");
                error.source = Some(Box::new(source));
                error
            }
            kube::Error::SerdeError(source) => self.unreadable(&source),
            kube::Error::BuildRequest(source) => self.error(ClusterErrorKind::Other, source.to_string()),
            _ => self.error(ClusterErrorKind::Other, "the answer could not be used"),
        }
    }

    /// A refusal that was read already.
    pub(super) fn status(self, answer: Status) -> ClusterError {
        let status = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = kind(status, Some(&answer));
        self.error(kind, words::shown(&answer.message, self.private))
    }

    /// A parser's own words may quote what it read, and that may be a secret.
    fn unreadable(self, error: &serde_json::Error) -> ClusterError {
        let (line, column) = (error.line(), error.column());
        self.error(
            ClusterErrorKind::Other,
            format!("the answer is not what the API promises (line {line}, column {column})"),
        )
    }
}

/// The class of a refusal (Kubernetes API conventions, "Response Status Kind").
fn kind(status: StatusCode, answer: Option<&Status>) -> ClusterErrorKind {
    let reason = answer.map_or("", |answer| answer.reason.as_str());
    let causes = answer.and_then(|answer| answer.details.as_ref());
    let terminating = causes.is_some_and(|details| {
        let mut causes = details.causes.iter();
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    });
    match status.as_u16() {
        401 => ClusterErrorKind::Unauthenticated,
        403 if terminating => ClusterErrorKind::Terminating,
        403 => ClusterErrorKind::Forbidden,
        404 => ClusterErrorKind::NotFound,
        409 if reason == "AlreadyExists" => ClusterErrorKind::AlreadyExists,
        409 => ClusterErrorKind::Conflict,
        410 => ClusterErrorKind::Gone,
        // 400 is also what a webhook's refusal without a code of its own becomes.
        400 | 413 | 422 => ClusterErrorKind::Invalid,
        429 => ClusterErrorKind::Throttled,
        502..=504 => ClusterErrorKind::Unreachable,
        _ => ClusterErrorKind::Other,
    }
}

impl Cluster {
    /// Sends a request and gives the body of its success. Nothing of either body is logged.
    pub(super) async fn send(
        &self,
        doing: Doing<'_>,
        request: Result<Request<Vec<u8>>, request::Error>,
    ) -> Result<bytes::Bytes, ClusterError> {
        let request = request.map_err(|error| doing.failed(kube::Error::BuildRequest(error)))?;
        let sent = self.client.send(request.map(Body::from)).await;
        let answer = sent.map_err(|error| doing.failed(error))?;
        let status = answer.status();
        let body = answer.into_body().collect_bytes().await;
        let body = body.map_err(|error| doing.failed(error))?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(doing.refused(status, &body))
        }
    }

    /// As [`Self::send`], with the answer read.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        doing: Doing<'_>,
        request: Result<Request<Vec<u8>>, request::Error>,
    ) -> Result<T, ClusterError> {
        let body = self.send(doing, request).await?;
        serde_json::from_slice(&body).map_err(|error| doing.unreadable(&error))
    }

    /// As [`Self::ask`], for the metadata of one object: its content is not even sent back.
    pub(super) async fn ask_metadata(
        &self,
        doing: Doing<'_>,
        request: Result<Request<Vec<u8>>, request::Error>,
    ) -> Result<Item, ClusterError> {
        let request = request.map(|mut request| {
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static(METADATA));
            request
        });
        self.ask(doing, request).await
    }

    /// The metadata of all objects at `path`, complete or an error, and the version of the list.
    pub(super) async fn list_metadata(
        &self,
        doing: Doing<'_>,
        path: &str,
        fields: Option<&str>,
    ) -> Result<(Vec<Item>, String), ClusterError> {
        let mut restarts = 0;
        loop {
            match self.list_once(doing, path, fields).await {
                // The version that the pages belong to was compacted away meanwhile.
                Err(error) if error.kind == ClusterErrorKind::Gone && restarts < RESTARTS => restarts += 1,
                listed => return listed,
            }
        }
    }

    async fn list_once(
        &self,
        doing: Doing<'_>,
        path: &str,
        fields: Option<&str>,
    ) -> Result<(Vec<Item>, String), ClusterError> {
        let mut params = ListParams::default().limit(PAGE);
        params.field_selector = fields.map(str::to_owned);
        let mut items = Vec::new();
        loop {
            let request = kube::api::Request::new(path).list_metadata(&params);
            let page: Page = self.ask(doing, request).await?;
            let page_items = page.items.unwrap_or_default();
            if page_items.is_empty() && page.metadata.continue_.as_ref().is_some_and(|c| !c.is_empty()) {
                return Err(doing.error(ClusterErrorKind::Other, "an empty page names another one"));
            }
            items.extend(page_items);
            if items.len() > MOST {
                return Err(doing.error(ClusterErrorKind::Other, format!("there are more than {MOST}")));
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok((items, page.metadata.resource_version.unwrap_or_default())),
            }
        }
    }
}
