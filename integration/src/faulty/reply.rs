//! Answers: the specification's error bodies, and bodies that break off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde_json::json;

/// A refusal in the words of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    retry_after: Option<u32>,
}

impl Refusal {
    /// A status with a code and a message of the specification's error body.
    pub fn new(status: u16, code: &'static str, message: &str) -> Self {
        Self {
            status,
            code,
            message: message.to_owned(),
            retry_after: None,
        }
    }

    /// With a `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message, "detail": null }] });
        let mut reply = bytes_reply(self.status, "application/json", Bytes::from(body.to_string()));
        if let Some(seconds) = self.retry_after {
            reply
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }
}

/// An answer.
pub(super) type Reply = Response<Content>;

/// The body of an answer.
pub(super) struct Content {
    /// What is sent.
    bytes: Option<Bytes>,
    /// What is announced.
    length: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = match self.bytes.take() {
            Some(bytes) if !bytes.is_empty() => {
                self.length = self.length.saturating_sub(bytes.len() as u64);
                Some(Ok(Frame::data(bytes)))
            }
            _ if self.length > 0 => Some(Err(io::Error::other("cut on purpose"))),
            _ => None,
        };
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// A whole body.
pub(super) fn bytes_reply(status: u16, media_type: &str, bytes: Bytes) -> Reply {
    let length = bytes.len() as u64;
    let mut reply = Response::new(Content {
        bytes: Some(bytes),
        length,
    });
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut reply, CONTENT_TYPE, media_type);
    reply
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

/// The same answer with only the first half of its body.
pub(super) fn cut(mut reply: Reply) -> Reply {
    if let Some(bytes) = &mut reply.body_mut().bytes {
        bytes.truncate(bytes.len() / 2);
    }
    reply
}

/// The answer to HEAD: the headers of the answer to GET.
pub(super) fn without_body(reply: Reply) -> Reply {
    reply.map(|_| Content {
        bytes: None,
        length: 0,
    })
}

/// Sets a header; a value that cannot stand in one is left out.
pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}
