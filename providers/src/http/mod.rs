//! The base HTTP client, the only one of the program: TLS, CAs, proxies, deadlines, body caps and
//! the rule which addresses may be connected to.
//!
//! It sends one request and gives one answer: no redirects, no retries, no decompression, no
//! cookies, no credentials of its own. Whoever uses it decides where a request may go.

mod address;
mod body;
mod connect;
mod error;
mod proxy;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use url::{Host, Position, Url};

pub use address::{AddressRefused, Reach};
pub use body::{ByteStream, HttpBody, IncomingBody};
pub use error::{HttpError, HttpErrorKind};

use body::{Outgoing, Progress, Sending};
use connect::{Connector, Peer};
use proxy::Proxies;
use syncd_config::config::Proxy;
use tls::Tls;

/// What a connection's read buffer may grow to. hyper's default (408 KiB) doubles the memory of a
/// copy; below 64 KiB it costs time. It also bounds an answer's headers.
const BUFFER: usize = 96 * 1024;

/// How one client connects.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// A PEM file of CAs, trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether http URLs may be requested at all.
    pub plain_http: bool,
    /// The proxy.
    pub proxy: Proxy,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// The deadlines.
    pub timeouts: Timeouts,
}

/// The deadlines of a client. There is none on a whole transfer: a large blob takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For each of: name and TCP connection (or the way through the proxy), TLS.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub headers: Duration,
    /// Without any byte of a body, either way.
    pub idle: Duration,
    /// Within this time of waiting at least [`Self::window_bytes`] must come.
    pub window: Duration,
    /// See [`Self::window`].
    pub window_bytes: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            window: Duration::from_secs(60),
            window_bytes: 60 * 1024,
        }
    }
}

/// One request.
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to: http or https, no user in it.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: HttpBody,
    /// Another deadline for the head of the answer than the client's.
    pub headers_within: Option<Duration>,
}

/// One answer, of any status.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The address that answered; unknown behind a proxy.
    pub peer: Option<SocketAddr>,
    body: IncomingBody,
}

/// A client with one [`Profile`]; clones share its connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<Connector, Outgoing>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    plain_http: bool,
    reach: Reach,
    timeouts: Timeouts,
}

impl HttpClient {
    /// A client; reads the CA file.
    ///
    /// # Errors
    /// The CA file cannot be read or holds no certificate.
    pub fn new(profile: &Profile) -> Result<Self, HttpError> {
        let tls = Arc::new(Tls::new(profile.ca_file.as_deref())?);
        let proxies = Arc::new(Proxies::new(&profile.proxy));
        let connector = Connector::new(
            profile.reach,
            proxies.clone(),
            tls.clone(),
            profile.timeouts.connect,
        );
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            // Shorter than what servers keep: a request on a connection that the server is just
            // closing fails for nothing.
            .pool_idle_timeout(Duration::from_secs(15))
            .pool_max_idle_per_host(64)
            .http1_max_buf_size(BUFFER)
            .build(connector);
        Ok(Self {
            client,
            proxies,
            tls,
            plain_http: profile.plain_http,
            reach: profile.reach,
            timeouts: profile.timeouts,
        })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// No answer; an answer of any status is none.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = self.check(&request.url)?;
        let headers_within = request.headers_within.unwrap_or(self.timeouts.headers);
        let (body, progress) = Outgoing::new(request.body);
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = request.method;
        *outgoing.headers_mut() = request.headers;
        self.own_headers(&uri, outgoing.headers_mut())?;
        *outgoing.uri_mut() = uri;
        let answer = self.client.request(outgoing);
        let response = tokio::select! {
            answer = answer => answer.map_err(|error| failure(&error, &progress))?,
            error = self.too_late(&progress, headers_within) => return Err(error),
        };
        self.accept(response)
    }

    /// `host:port` of the proxy that a request to `url` takes, if any: for a diagnosis, which
    /// looks at the steps below a request one by one.
    ///
    /// # Errors
    /// The URL may not be requested, or its proxy is of a kind that is not spoken.
    pub fn proxy_of(&self, url: &Url) -> Result<Option<String>, HttpError> {
        let proxy = self.proxies.for_uri(&self.check(url)?)?;
        Ok(proxy.map(|proxy| {
            let uri = proxy.uri();
            let port = uri.port_u16().unwrap_or(80);
            format!("{}:{port}", uri.host().unwrap_or_default())
        }))
    }

    /// What this client trusts in a TLS handshake, for a diagnosis.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn trust(&self) -> Result<Arc<rustls::ClientConfig>, HttpError> {
        self.tls.config()
    }

    /// What may be requested at all.
    fn check(&self, url: &Url) -> Result<Uri, HttpError> {
        let forbidden = |detail: &str| Err(HttpError::new(HttpErrorKind::Forbidden, detail));
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            "http" => return forbidden("plain http is not allowed for this host"),
            _ => return forbidden("only http and https are spoken"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("the URL has a user in it");
        }
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            Some(Host::Domain(_)) => None,
            None => return forbidden("the URL has no host"),
        };
        if let Some(address) = address {
            self.reach
                .check(address)
                .map_err(|refused| HttpError::new(HttpErrorKind::AddressRefused, refused.to_string()))?;
        }
        url[..Position::AfterQuery]
            .parse()
            .or_else(|_| forbidden("the URL cannot be requested"))
    }

    fn own_headers(&self, uri: &Uri, headers: &mut HeaderMap) -> Result<(), HttpError> {
        let agent = concat!("syncd/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        // A digest is over the bytes as stored: nothing may be packed on the way.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if uri.scheme() == Some(&http::uri::Scheme::HTTP)
            && let Some(auth) = self.proxies.for_uri(uri)?.as_ref().and_then(|p| p.basic_auth())
        {
            headers.insert(http::header::PROXY_AUTHORIZATION, auth.clone());
        }
        Ok(())
    }

    /// Ends when the exchange has taken too long, with the reason. A body that waits for its own
    /// source is not the peer's fault; that source has a timer of its own, so it gets ten times as long.
    async fn too_late(&self, progress: &Progress, headers_within: Duration) -> HttpError {
        // Connecting has its own deadlines, before any byte is sent.
        let connect = self.timeouts.connect * 2;
        loop {
            let (deadline, kind, detail) = match progress.sending() {
                Sending::Done(at) => (
                    at + headers_within,
                    HttpErrorKind::HeaderTimeout,
                    "no answer in time",
                ),
                Sending::Peer(at) => (
                    at + self.timeouts.idle.max(connect),
                    HttpErrorKind::IdleTimeout,
                    "the server takes no more of the request's body",
                ),
                Sending::Source(at) => (
                    at + self.timeouts.idle * 10,
                    HttpErrorKind::RequestBody,
                    "the source of the request's body stands still",
                ),
            };
            if Instant::now() >= deadline {
                return HttpError::new(kind, detail);
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn accept(&self, response: http::Response<hyper::body::Incoming>) -> Result<HttpResponse, HttpError> {
        let (head, body) = response.into_parts();
        // RFC 9112, 6.1: both lengths in one answer is how requests are smuggled. Dropping the body
        // here closes the connection.
        if head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(TRANSFER_ENCODING) {
            return Err(HttpError::new(
                HttpErrorKind::Malformed,
                "the answer has two lengths (Content-Length and Transfer-Encoding)",
            ));
        }
        Ok(HttpResponse {
            status: head.status,
            headers: head.headers,
            peer: head.extensions.get::<Peer>().and_then(|peer| peer.0),
            body: IncomingBody::new(body, self.timeouts),
        })
    }
}

fn failure(error: &hyper_util::client::legacy::Error, progress: &Progress) -> HttpError {
    match progress.take_failure() {
        Some(own) => HttpError::of_request_body(own),
        None => HttpError::classify(error),
    }
}

impl HttpResponse {
    /// The declared length of the body.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The whole body, at most `cap` bytes. Nothing is allocated from a declared length.
    ///
    /// # Errors
    /// A longer body, or one that breaks off or stands still.
    pub async fn bytes(self, cap: usize) -> Result<Bytes, HttpError> {
        // The answer to a HEAD declares a length and has no body.
        let declared = self.content_length().filter(|_| !self.body.is_over());
        if declared.is_some_and(|declared| declared > cap as u64) {
            return Err(too_large(cap));
        }
        let (bytes, more) = self.prefix(cap).await?;
        if more { Err(too_large(cap)) } else { Ok(bytes) }
    }

    /// The first `cap` bytes of the body at most, and whether there are more.
    ///
    /// # Errors
    /// The body breaks off or stands still before.
    pub async fn prefix(mut self, cap: usize) -> Result<(Bytes, bool), HttpError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            let room = cap - all.len();
            all.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                return Ok((all.freeze(), true));
            }
        }
        Ok((all.freeze(), false))
    }

    /// The body as it comes.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static {
        self.body
    }
}

fn too_large(cap: usize) -> HttpError {
    HttpError::new(
        HttpErrorKind::TooLarge,
        format!("the answer is longer than {cap} bytes"),
    )
}
