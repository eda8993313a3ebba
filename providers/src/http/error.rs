//! Why a request failed, as a closed kind. No text of it holds a URL, a user or a header.

use std::error::Error as StdError;
use std::io;

use syncd_config::text::clean;
use thiserror::Error;

use super::address::AddressRefused;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A request that got no (whole) answer.
#[derive(Debug, Error)]
#[error("{detail}")]
pub struct HttpError {
    /// The class.
    pub kind: HttpErrorKind,
    /// What happened, in plain words.
    pub detail: String,
    /// The cause below.
    #[source]
    source: Option<Cause>,
    /// The failed request body's own error, for whoever made that body.
    body: Option<BoxError>,
}

/// The text of a cause of another library, made safe to show.
#[derive(Debug, Error)]
#[error("{0}")]
struct Cause(String);

/// The closed set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpErrorKind {
    /// The name does not resolve.
    Dns,
    /// Policy forbids the address (metadata services, internal addresses named by others).
    AddressRefused,
    /// Nothing listens there.
    Refused,
    /// The connection was cut.
    Reset,
    /// No route.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// Connected, but no answer in time.
    HeaderTimeout,
    /// The body stood still, or trickled.
    IdleTimeout,
    /// The proxy refused or failed.
    Proxy,
    /// The certificate's issuer is not trusted.
    TlsUnknownCa,
    /// The certificate is for another name.
    TlsHostname,
    /// The certificate is expired or not valid yet.
    TlsCertTime,
    /// TLS spoken to a plain http port, or the other way round.
    TlsHttpMismatch,
    /// Any other TLS failure.
    Tls,
    /// An answer that is not HTTP.
    Malformed,
    /// A body over its cap.
    TooLarge,
    /// The request's own body failed.
    RequestBody,
    /// A request that this client does not send (plain http where it is not allowed, …).
    Forbidden,
    /// A CA file or a proxy setting that cannot be used.
    Setup,
}

impl HttpError {
    pub(crate) fn new(kind: HttpErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
            body: None,
        }
    }

    /// The request's own body failed with `error`.
    pub(crate) fn of_request_body(error: BoxError) -> Self {
        Self {
            body: Some(error),
            ..Self::new(HttpErrorKind::RequestBody, "the request's own body failed")
        }
    }

    /// The error that the request's body failed with: what its source said, unchanged.
    #[must_use]
    pub fn into_request_body(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.body
    }

    pub(crate) fn caused_by(mut self, cause: &(dyn StdError + 'static)) -> Self {
        self.source = Some(Cause(clean(&cause.to_string())));
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Finds the class of another library's error by what is below it, never by its text.
    pub(crate) fn classify(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        let mut found: Option<Self> = None;
        while let Some(current) = next {
            if let Some(known) = of_one(current) {
                // The deepest classified cause is the most precise one.
                found = Some(known);
            }
            next = current.source();
        }
        found.unwrap_or_else(|| Self::new(HttpErrorKind::Malformed, "the exchange failed").caused_by(error))
    }
}

fn of_one(error: &(dyn StdError + 'static)) -> Option<HttpError> {
    if let Some(error) = error.downcast_ref::<HttpError>() {
        let source = error.source.as_ref().map(|c| Cause(c.0.clone()));
        return Some(HttpError {
            kind: error.kind,
            detail: error.detail.clone(),
            source,
            body: None,
        });
    }
    if let Some(refused) = error.downcast_ref::<AddressRefused>() {
        return Some(HttpError::new(HttpErrorKind::AddressRefused, refused.to_string()));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return of_io(error);
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    error.downcast_ref::<hyper::Error>().and_then(of_hyper)
}

fn of_hyper(error: &hyper::Error) -> Option<HttpError> {
    let (kind, detail) = if error.is_parse() {
        (HttpErrorKind::Malformed, "the answer is not HTTP/1.1")
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        (
            HttpErrorKind::Reset,
            "the connection was closed in the middle of the exchange",
        )
    } else if error.is_timeout() {
        (HttpErrorKind::HeaderTimeout, "no answer in time")
    } else {
        return None;
    };
    Some(HttpError::new(kind, detail).caused_by(error))
}

fn of_io(error: &io::Error) -> Option<HttpError> {
    // `source()` of an io::Error skips the error it was made from.
    if let Some(inner) = error.get_ref()
        && let Some(known) = of_one(inner)
    {
        return Some(known);
    }
    let (kind, detail) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (HttpErrorKind::Refused, "the connection was refused"),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => (HttpErrorKind::Reset, "the connection was cut"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            (HttpErrorKind::Unreachable, "there is no route to the host")
        }
        io::ErrorKind::AddrNotAvailable => (
            HttpErrorKind::Unreachable,
            "there is no local address for the connection",
        ),
        io::ErrorKind::TimedOut => (HttpErrorKind::ConnectTimeout, "no connection in time"),
        _ => return None,
    };
    Some(HttpError::new(kind, detail).caused_by(error))
}

/// The class of a TLS failure.
pub(crate) fn of_tls(error: &rustls::Error) -> HttpError {
    use rustls::CertificateError as Certificate;
    let (kind, detail) = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Certificate::UnknownIssuer => (
                HttpErrorKind::TlsUnknownCa,
                "the certificate's issuer is not trusted",
            ),
            // A CA made anew under its old name: found by name, but it did not sign this.
            Certificate::BadSignature => (
                HttpErrorKind::TlsUnknownCa,
                "the certificate is signed by another CA of the same name as a trusted one",
            ),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                (HttpErrorKind::TlsHostname, "the certificate is for another name")
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                (HttpErrorKind::TlsCertTime, "the certificate has expired")
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                (HttpErrorKind::TlsCertTime, "the certificate is not valid yet")
            }
            _ => (HttpErrorKind::Tls, "the certificate is not accepted"),
        },
        // The first bytes of a plain http answer are no TLS record type.
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => (
            HttpErrorKind::TlsHttpMismatch,
            "the server answers plain http where TLS was spoken",
        ),
        rustls::Error::AlertReceived(_) => (HttpErrorKind::Tls, "the server refused the TLS connection"),
        _ => (HttpErrorKind::Tls, "the TLS connection failed"),
    };
    HttpError::new(kind, detail).caused_by(error)
}
