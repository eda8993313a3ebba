//! One connection: through the proxy or not, by TLS or not, each step with its own deadline and
//! its own class of failure.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::address::{Reach, ResolveError, Resolver};
use super::error::{HttpError, HttpErrorKind};
use super::proxy::Proxies;
use super::tls::Tls;

/// Makes connections for one client.
#[derive(Clone)]
pub(crate) struct Connector {
    direct: HttpConnector<Resolver>,
    to_proxy: HttpConnector<Resolver>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    timeout: Duration,
}

/// Whom a connection leads to: `None` when a proxy stands between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

impl Connector {
    pub(crate) fn new(reach: Reach, proxies: Arc<Proxies>, tls: Arc<Tls>, timeout: Duration) -> Self {
        let dialer = |reach| {
            let mut dialer = HttpConnector::new_with_resolver(Resolver { reach });
            dialer.enforce_http(false);
            dialer.set_nodelay(true);
            dialer.set_keepalive(Some(Duration::from_secs(30)));
            dialer
        };
        Self {
            direct: dialer(reach),
            // The proxy was named by the user: it may be anywhere but at a metadata service.
            to_proxy: dialer(Reach::Local),
            proxies,
            tls,
            timeout,
        }
    }

    async fn connect(mut self, to: Uri) -> Result<TokioIo<Stream>, HttpError> {
        let secure = to.scheme() == Some(&http::uri::Scheme::HTTPS);
        let proxy = self.proxies.for_uri(&to)?;
        let proxied = proxy.is_some();
        let tcp = match proxy {
            None => self
                .within(self.direct.clone().call(to.clone()))
                .await?
                .map_err(|e| of_dial(&e))?,
            Some(proxy) if !secure => {
                let dialed = self.to_proxy.call(proxy.uri().clone());
                self.within(dialed).await?.map_err(|e| of_proxy(&e))?
            }
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                self.within(tunnel.call(to.clone()))
                    .await?
                    .map_err(|e| of_proxy(&e))?
            }
        };
        let tcp = tcp.into_inner();
        let peer = if proxied { None } else { tcp.peer_addr().ok() };
        let io = if secure {
            Io::Tls(Box::new(self.handshake(&to, tcp).await?))
        } else {
            Io::Plain { tcp, first: true }
        };
        Ok(TokioIo::new(Stream {
            io,
            peer: Peer(peer),
            absolute_form: proxied && !secure,
        }))
    }

    async fn within<F: Future>(&self, step: F) -> Result<F::Output, HttpError> {
        timeout(self.timeout, step)
            .await
            .map_err(|_| HttpError::new(HttpErrorKind::ConnectTimeout, "no connection in time"))
    }

    async fn handshake(&self, to: &Uri, tcp: TcpStream) -> Result<TlsStream<TcpStream>, HttpError> {
        let host = to
            .host()
            .unwrap_or_default()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HttpError::new(HttpErrorKind::Forbidden, "the host is no name for TLS"))?;
        let connector = TlsConnector::from(self.tls.config()?);
        let shaken = timeout(self.timeout, connector.connect(name, tcp)).await;
        match shaken {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.get_ref().is_none() && error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(HttpError::new(
                    HttpErrorKind::Tls,
                    "the server hung up on the TLS greeting",
                ))
            }
            Ok(Err(error)) if error.to_string().contains("handshake eof") => Err(HttpError::new(
                HttpErrorKind::Tls,
                "the server hung up on the TLS greeting",
            )),
            Ok(Err(error)) => Err(HttpError::classify(&error)),
            Err(_) => Err(HttpError::new(
                HttpErrorKind::ConnectTimeout,
                "no answer to the TLS greeting in time",
            )),
        }
    }
}

fn of_dial(error: &(dyn std::error::Error + 'static)) -> HttpError {
    let mut next = Some(error);
    while let Some(current) = next {
        match current.downcast_ref::<ResolveError>() {
            Some(ResolveError::Refused(refused)) => {
                return HttpError::new(HttpErrorKind::AddressRefused, refused.to_string());
            }
            Some(lookup @ ResolveError::Lookup(_)) => {
                return HttpError::new(HttpErrorKind::Dns, syncd_config::text::clean(&lookup.to_string()));
            }
            None => next = current.source(),
        }
    }
    HttpError::classify(error)
}

/// Whatever fails before the proxy has opened the way is the proxy's failure.
fn of_proxy(error: &(dyn std::error::Error + 'static)) -> HttpError {
    HttpError::new(HttpErrorKind::Proxy, "the proxy did not open a connection").caused_by(error)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, HttpError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// A connection that is ready for HTTP/1.1.
pub(crate) struct Stream {
    io: Io,
    peer: Peer,
    absolute_form: bool,
}

enum Io {
    Plain { tcp: TcpStream, first: bool },
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.absolute_form).extra(self.peer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Io::Plain { tcp, first } => {
                let before = buf.filled().len();
                let read = Pin::new(tcp).poll_read(cx, buf);
                match buf.filled().get(before..before + 2) {
                    // A TLS alert record (RFC 8446, 5.1): the server wanted TLS.
                    Some([0x15, 0x03]) if *first => Poll::Ready(Err(io::Error::other(HttpError::new(
                        HttpErrorKind::TlsHttpMismatch,
                        "the server speaks TLS where plain http was spoken",
                    )))),
                    _ => {
                        *first &= buf.filled().len() == before;
                        read
                    }
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain { tcp, .. } => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain { tcp, .. } => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain { tcp, .. } => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain { tcp, .. } => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Io::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain { tcp, .. } => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
