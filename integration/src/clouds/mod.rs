//! Stand-ins for the issuers of registry tokens. Where they do not fail on purpose they are strict:
//! they refuse what the real service refuses, and each rule says where it comes from. They run on
//! the time of the test, which may differ from the issuer's own ([`Cloud::set_offset`]).
//!
//! An issuer implements [`Issuer`]; [`Cloud`] serves it on a loopback port with a script of faults.

mod request;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Poller, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use syncd_providers::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use self::request::{Asked, Reply};

use crate::certs::Identity;
use crate::error::{Context, Result};

/// One service of a cloud.
pub trait Issuer: Send + Sync + 'static {
    /// Its answer to a request, at its own time.
    fn answer(&self, asked: &Asked, now: Timestamp) -> Reply;
}

/// How a request is answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As it should be.
    None,
    /// By this status and body, with `Retry-After` in seconds.
    Status(u16, String, Option<u64>),
    /// Never.
    Hang,
    /// As it should be, cut off in the middle of the body.
    HalfBody,
    /// By a captive portal's page that holds this text, with status 200.
    Html(String),
    /// By this text, with status 200, as JSON.
    Garbage(String),
    /// By more than any issuer says.
    Endless,
}

impl Fault {
    /// A status without a word.
    pub fn status(status: u16) -> Self {
        Self::Status(status, String::new(), None)
    }
}

/// A running issuer.
pub struct Cloud {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    issuer: Arc<dyn Issuer>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    offset: SignedDuration,
    always: Fault,
    next: VecDeque<Fault>,
    asked: Vec<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let offset = self.state().offset;
        self.clock.now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }
}

impl Cloud {
    /// Serves an issuer by plain http on a loopback port.
    pub async fn start(issuer: Arc<dyn Issuer>, clock: Clock) -> Result<Self> {
        Self::listen(issuer, clock, None).await
    }

    /// Serves an issuer by https with this certificate.
    pub async fn start_tls(issuer: Arc<dyn Issuer>, clock: Clock, identity: &Identity) -> Result<Self> {
        Self::listen(issuer, clock, Some(crate::faulty::acceptor(identity)?)).await
    }

    async fn listen(issuer: Arc<dyn Issuer>, clock: Clock, tls: Option<TlsAcceptor>) -> Result<Self> {
        let what = "start a cloud's stand-in";
        let listener = TcpListener::bind("127.0.0.1:0").await.context(what)?;
        let address = listener.local_addr().context(what)?;
        let shared = Arc::new(Shared {
            issuer,
            clock,
            state: Mutex::new(State {
                offset: SignedDuration::ZERO,
                always: Fault::None,
                next: VecDeque::new(),
                asked: Vec::new(),
            }),
        });
        Ok(Self {
            address,
            tls: tls.is_some(),
            task: tokio::spawn(accept(listener, tls, Arc::clone(&shared))),
            shared,
        })
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// From now on every request is answered like this.
    pub fn fails(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.next.clear();
        state.always = fault;
    }

    /// The next requests are answered like this, one by one, and those after them as they should be.
    pub fn fails_next(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.shared.state();
        state.always = Fault::None;
        state.next = faults.into_iter().collect();
    }

    /// How far its clock is ahead of the test's.
    pub fn set_offset(&self, offset: SignedDuration) {
        self.shared.state().offset = offset;
    }

    /// What was asked so far, as `METHOD path status` lines.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        // A broken connection is the client's to notice.
        connections.spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(exchange(&shared, request).await) }
    });
    let mut server = http1::Builder::new();
    // Its own time, not this machine's.
    server.auto_date_header(false);
    // Cut bodies end in an error here, as they are meant to.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

async fn exchange(shared: &Shared, request: hyper::Request<Incoming>) -> Response<Outgoing> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let now = shared.now();
    let reply = match Asked::read(request).await {
        Ok(asked) => shared.issuer.answer(&asked, now),
        Err(why) => Reply::text(400, &why),
    };
    let fault = {
        let mut state = shared.state();
        state.next.pop_front().unwrap_or_else(|| state.always.clone())
    };
    let (reply, body) = spoil(reply, fault);
    let line = format!("{method} {path} {}", reply.status.as_u16());
    shared.state().asked.push(line);
    if let Outgoing::Never = body {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(http::header::DATE, date);
    }
    response
}

/// What is sent in the end.
fn spoil(reply: Reply, fault: Fault) -> (Reply, Outgoing) {
    let whole = |reply: Reply| {
        let body = Outgoing::Whole(reply.body.clone());
        (reply, body)
    };
    match fault {
        Fault::None => whole(reply),
        Fault::Hang => (reply, Outgoing::Never),
        Fault::HalfBody => {
            let body = Outgoing::Half(reply.body.slice(..reply.body.len() / 2), reply.body.len() as u64);
            (reply, body)
        }
        Fault::Status(status, body, retry_after) => {
            let mut reply = Reply::raw(status, "application/json", body);
            if let Some(seconds) = retry_after {
                reply.headers.insert(http::header::RETRY_AFTER, seconds.into());
            }
            whole(reply)
        }
        Fault::Html(text) => {
            let page = format!("<!DOCTYPE html><html><body>Please log in: {text}</body></html>");
            whole(Reply::raw(200, "text/html; charset=utf-8", page))
        }
        Fault::Garbage(text) => whole(Reply::raw(200, "application/json", text)),
        Fault::Endless => (
            Reply::raw(StatusCode::OK.as_u16(), "application/json", ""),
            Outgoing::Endless,
        ),
    }
}

/// A body, good or bad.
enum Outgoing {
    Whole(Bytes),
    /// Some of what was announced.
    Half(Bytes, u64),
    Cut,
    Endless,
    Never,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let cut = || std::io::Error::other("cut off on purpose");
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            // What was sent is on its way before the connection ends.
            Self::Half(bytes, _) if bytes.is_empty() => {
                *self = Self::Cut;
                poller.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Cut => Poll::Ready(Some(Err(cut()))),
            Self::Whole(bytes) | Self::Half(bytes, _) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 16 * 1024]))))),
            Self::Never => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Half(_, length) => SizeHint::with_exact(*length),
            Self::Endless | Self::Never | Self::Cut => SizeHint::default(),
        }
    }
}
