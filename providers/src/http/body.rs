//! Bodies with a clock on them, both ways.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::Timeouts;
use super::error::{BoxError, HttpError, HttpErrorKind};

/// A request body's bytes as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// What a request carries.
pub enum HttpBody {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// Exactly `len` bytes.
    Stream {
        /// How many.
        len: u64,
        /// The bytes.
        stream: ByteStream,
    },
}

/// How the sending of a request body stands, seen from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sending {
    /// All bytes are handed over since then.
    Done(Instant),
    /// The peer has not taken more since then.
    Peer(Instant),
    /// The body's own source has given nothing since then.
    Source(Instant),
}

/// Shared between the body and who waits for the answer.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Inner>>);

struct Inner {
    sending: Sending,
    failed: Option<BoxError>,
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            sending: Sending::Peer(Instant::now()),
            failed: None,
        })))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn sending(&self) -> Sending {
        self.with(|inner| inner.sending)
    }

    /// The body's own error, when that is what ended the request.
    pub(crate) fn take_failure(&self) -> Option<BoxError> {
        self.with(|inner| inner.failed.take())
    }
}

/// The body as hyper takes it.
pub(crate) struct Outgoing {
    body: HttpBody,
    progress: Progress,
}

impl Outgoing {
    pub(crate) fn new(body: HttpBody) -> (Self, Progress) {
        let progress = Progress::new();
        let shared = progress.clone();
        let outgoing = Self { body, progress };
        if outgoing.is_end_stream() {
            shared.with(|inner| inner.sending = Sending::Done(Instant::now()));
        }
        (outgoing, shared)
    }

    fn fail(&mut self, error: BoxError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.body = HttpBody::Empty;
        self.progress.with(|inner| inner.failed = Some(error));
        Poll::Ready(Some(Err("the body failed".into())))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.body {
            HttpBody::Empty => None,
            HttpBody::Bytes(bytes) => Some(std::mem::take(bytes)),
            HttpBody::Stream { len, stream } => match stream.as_mut().poll_next(cx) {
                Poll::Pending => {
                    self.progress.with(|inner| {
                        if !matches!(inner.sending, Sending::Source(_)) {
                            inner.sending = Sending::Source(Instant::now());
                        }
                    });
                    return Poll::Pending;
                }
                Poll::Ready(None) if *len > 0 => return self.fail("the body ended too early".into()),
                Poll::Ready(None) => None,
                Poll::Ready(Some(Err(error))) => return self.fail(error),
                Poll::Ready(Some(Ok(chunk))) if chunk.len() as u64 > *len => {
                    return self.fail("the body is longer than declared".into());
                }
                Poll::Ready(Some(Ok(chunk))) => {
                    *len -= chunk.len() as u64;
                    Some(chunk)
                }
            },
        };
        if matches!(self.body, HttpBody::Bytes(_)) {
            self.body = HttpBody::Empty;
        }
        let done = self.is_end_stream();
        let now = Instant::now();
        self.progress.with(|inner| {
            inner.sending = if done {
                Sending::Done(now)
            } else {
                Sending::Peer(now)
            };
        });
        Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            HttpBody::Empty => true,
            HttpBody::Bytes(bytes) => bytes.is_empty(),
            HttpBody::Stream { len, .. } => *len == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.body {
            HttpBody::Empty => 0,
            HttpBody::Bytes(bytes) => bytes.len() as u64,
            HttpBody::Stream { len, .. } => *len,
        })
    }
}

/// A response body that fails when it stands still or trickles. Only time spent waiting for the
/// peer counts: a reader that takes its time is no fault of the peer's.
pub struct IncomingBody {
    inner: Incoming,
    timeouts: Timeouts,
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    window: Window,
}

/// Bytes and waiting time of the current stretch.
#[derive(Default)]
struct Window {
    waited: Duration,
    bytes: u64,
}

impl IncomingBody {
    pub(crate) fn new(inner: Incoming, timeouts: Timeouts) -> Self {
        Self {
            inner,
            timeouts,
            timer: None,
            waiting_since: None,
            window: Window::default(),
        }
    }

    /// Whether there is nothing (more) to come.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        let idle = self.timeouts.idle;
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(now + idle),
                None => self.timer = Some(Box::pin(tokio::time::sleep(idle))),
            }
        }
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(HttpError::new(
                HttpErrorKind::IdleTimeout,
                "the answer's body stands still",
            )))),
        }
    }

    /// Counts what came; whether the peer is too slow to go on with.
    fn account(&mut self, bytes: usize) -> Result<(), HttpError> {
        if let Some(since) = self.waiting_since.take() {
            self.window.waited += since.elapsed();
        }
        self.window.bytes += bytes as u64;
        if self.window.waited < self.timeouts.window {
            return Ok(());
        }
        let window = std::mem::take(&mut self.window);
        if window.bytes < self.timeouts.window_bytes {
            return Err(HttpError::new(
                HttpErrorKind::IdleTimeout,
                "the answer's body comes too slowly",
            ));
        }
        Ok(())
    }
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(HttpError::classify(&error)))),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers carry nothing that syncd uses.
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.account(bytes.len())?;
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}
