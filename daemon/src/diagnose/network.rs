//! The steps below HTTP: name, connection, TLS handshake, each with its own deadline and its own
//! words. They carry no credential and send nothing but a TLS greeting.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use rustls::{CertificateError, ClientConfig, InvalidMessage};
use rustls_pki_types::{ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::facts::{Connect, Fault, Handshake};
use crate::oci::ErrorKind;

/// The most addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// The addresses of a name.
pub(crate) async fn resolve(name: &str, port: u16, within: Duration) -> Result<Vec<IpAddr>, Fault> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let fault = |words: &str| Fault::new(ErrorKind::Dns, name, "resolve the name", words);
    let looked_up = timeout(within, tokio::net::lookup_host((name, port))).await;
    let found = looked_up
        .map_err(|_| {
            fault(&format!(
                "the resolver did not answer within {} s",
                within.as_secs()
            ))
        })?
        .map_err(|error| fault(&error.to_string()))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES);
    if addresses.is_empty() {
        return Err(fault("the name has no addresses"));
    }
    Ok(addresses)
}

/// Tries to connect to every address at once. The streams that came about are handed out too.
pub(crate) async fn connect(
    addresses: &[IpAddr],
    port: u16,
    within: Duration,
) -> (Vec<Connect>, Option<TcpStream>) {
    let tries = addresses.iter().map(|ip| {
        let address = SocketAddr::new(*ip, port);
        async move {
            let outcome = match timeout(within, TcpStream::connect(address)).await {
                Err(_) => Err(dial_fault(
                    address,
                    ErrorKind::Timeout,
                    &format!("no answer within {} s", within.as_secs()),
                )),
                Ok(Err(error)) => Err(of_io(address, &error)),
                Ok(Ok(stream)) => Ok(stream),
            };
            (address, outcome)
        }
    });
    let mut connects = Vec::new();
    let mut first = None;
    for (address, outcome) in futures::future::join_all(tries).await {
        let outcome = outcome.map(|stream| {
            first.get_or_insert(stream);
        });
        connects.push(Connect { address, outcome });
    }
    (connects, first)
}

fn dial_fault(address: SocketAddr, kind: ErrorKind, words: &str) -> Fault {
    Fault::new(kind, &address.to_string(), "connect", words)
}

fn of_io(address: SocketAddr, error: &io::Error) -> Fault {
    let (kind, words) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (ErrorKind::ConnectionRefused, "connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            (ErrorKind::ConnectionReset, "connection reset")
        }
        io::ErrorKind::TimedOut => (ErrorKind::Timeout, "no answer in time"),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => (ErrorKind::Unreachable, "no route"),
        _ => return dial_fault(address, ErrorKind::Io, &error.to_string()),
    };
    dial_fault(address, kind, words)
}

/// The TLS handshake with the trust of the registry's own client.
pub(crate) async fn handshake(
    trust: Arc<ClientConfig>,
    name: &str,
    place: &str,
    tcp: TcpStream,
    within: Duration,
) -> Result<Handshake, Fault> {
    let fault = |kind, words: &str| Fault::new(kind, place, "greet by TLS", words);
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| fault(ErrorKind::Tls, "the host is no name for a certificate"))?;
    let mut head = Vec::new();
    let greeted = {
        let stream = Watched {
            stream: tcp,
            head: &mut head,
        };
        timeout(within, TlsConnector::from(trust).connect(server, stream)).await
    };
    match greeted {
        Err(_) => Err(fault(
            ErrorKind::Timeout,
            &format!("no answer to the TLS greeting within {} s", within.as_secs()),
        )),
        Ok(Ok(stream)) => Ok(Handshake {
            version: match stream.get_ref().1.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
                _ => "TLS",
            }
            .to_owned(),
        }),
        Ok(Err(error)) => {
            let (kind, words) = of_handshake(&error, &head);
            Err(fault(kind, &words))
        }
    }
}

fn of_handshake(error: &io::Error, head: &[u8]) -> (ErrorKind, String) {
    if head.starts_with(b"HTTP/") {
        let words = "the server answered the TLS greeting in plain http";
        return (ErrorKind::TlsHttpMismatch, words.to_owned());
    }
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(bad)) => of_certificate(bad),
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => (
            ErrorKind::Tls,
            format!(
                "the server speaks neither TLS nor http; it began with `{}`",
                String::from_utf8_lossy(head)
            ),
        ),
        Some(other) => (ErrorKind::Tls, other.to_string()),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (
                ErrorKind::ConnectionReset,
                "the server hung up on the TLS greeting".to_owned(),
            ),
            _ => (ErrorKind::Tls, error.to_string()),
        },
    }
}

fn of_certificate(bad: &CertificateError) -> (ErrorKind, String) {
    match bad {
        CertificateError::UnknownIssuer => (
            ErrorKind::TlsUnknownCa,
            "the certificate's issuer is not among the trusted CAs".to_owned(),
        ),
        CertificateError::NotValidForName => (
            ErrorKind::TlsHostname,
            "the certificate is for another name".to_owned(),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => (
            ErrorKind::TlsHostname,
            format!("the certificate is for {}", names(presented)),
        ),
        CertificateError::Expired => (
            ErrorKind::TlsCertTime,
            "the certificate is past its time".to_owned(),
        ),
        CertificateError::ExpiredContext { time, not_after } => (
            ErrorKind::TlsCertTime,
            format!(
                "the certificate was valid until {}, this machine's clock says {}",
                when(*not_after),
                when(*time)
            ),
        ),
        CertificateError::NotValidYet => (
            ErrorKind::TlsCertTime,
            "the certificate is not valid yet".to_owned(),
        ),
        CertificateError::NotValidYetContext { time, not_before } => (
            ErrorKind::TlsCertTime,
            format!(
                "the certificate is valid from {} on, this machine's clock says {}",
                when(*not_before),
                when(*time)
            ),
        ),
        // A leaf that is also its own CA, or a CA used as a server.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            ErrorKind::TlsUnknownCa,
            "the certificate is its own issuer (self-signed)".to_owned(),
        ),
        other => (ErrorKind::Tls, format!("{other:?}")),
    }
}

/// `DnsName("a.example")` as `a.example`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".to_owned();
    }
    let bare: Vec<&str> = presented
        .iter()
        .take(4)
        .map(|name| name.split('"').nth(1).unwrap_or(name))
        .collect();
    bare.join(", ")
}

fn when(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "an absurd time".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        )
}

/// A stream that remembers the first bytes it read: they tell http from TLS.
struct Watched<'a> {
    stream: TcpStream,
    head: &'a mut Vec<u8>,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let wanted = 12usize.saturating_sub(self.head.len());
        let new = buffer.filled().get(before..).unwrap_or_default();
        let kept = new.get(..wanted.min(new.len())).unwrap_or_default();
        self.head.extend_from_slice(kept);
        polled
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
