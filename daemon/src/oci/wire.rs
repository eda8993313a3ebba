//! The connections of the registry client: which of the base clients a hop takes.
//!
//! A host with an entry of its own is reached as that entry says, whoever named it; CA, plain http
//! and proxy of one entry never apply to another host. A host that only a server named is reached
//! by TLS with the system's CAs, and no further inwards than the server that named it is itself.

use syncd_config::config::{Proxy, RegistryEntry};
use syncd_providers::http::{HttpClient, HttpError, HttpErrorKind, Profile, Reach, Timeouts};

use super::error::{ErrorKind, RegistryError};
use super::origin::Origin;

/// All base clients.
pub(crate) struct Wires {
    entries: Vec<(Origin, HttpClient)>,
    /// For hosts that the user named without an entry.
    named: HttpClient,
    /// For hosts that a server named, by that server's own place.
    foreign: [(Reach, HttpClient); 3],
}

impl Wires {
    pub(crate) fn new(entries: &[RegistryEntry], timeouts: Timeouts) -> Result<Self, RegistryError> {
        let plain = |reach| Profile {
            ca_file: None,
            plain_http: false,
            proxy: Proxy::Environment,
            reach,
            timeouts,
        };
        let own = |entry: &RegistryEntry| {
            let profile = Profile {
                ca_file: entry.ca_file.clone(),
                plain_http: entry.plain_http,
                proxy: entry.proxy.clone(),
                ..plain(Reach::Local)
            };
            let origin = Origin::of_registry(&entry.host, entry.plain_http);
            let client = client(entry.host.as_str(), &profile)?;
            Ok((origin, client))
        };
        let foreign = |reach| client("other hosts", &plain(reach)).map(|client| (reach, client));
        Ok(Self {
            entries: entries.iter().map(own).collect::<Result<_, RegistryError>>()?,
            named: client("other hosts", &plain(Reach::Local))?,
            foreign: [
                foreign(Reach::Public)?,
                foreign(Reach::Private)?,
                foreign(Reach::Local)?,
            ],
        })
    }

    /// The client of entry number `entry`, or that of hosts without one.
    pub(crate) fn of_registry(&self, entry: Option<usize>) -> &HttpClient {
        let own = entry.and_then(|at| self.entries.get(at));
        own.map_or(&self.named, |(_, client)| client)
    }

    /// The client for an origin that the user named without being a registry (a token host).
    pub(crate) fn of_named(&self, origin: &Origin) -> &HttpClient {
        self.configured(origin).unwrap_or(&self.named)
    }

    /// The client for an origin that a server at `reach` named.
    pub(crate) fn of_foreign(&self, origin: &Origin, reach: Reach) -> &HttpClient {
        let by_reach = || {
            self.foreign
                .iter()
                .find(|(of, _)| *of == reach)
                .map(|(_, client)| client)
        };
        self.configured(origin)
            .or_else(by_reach)
            .unwrap_or(&self.foreign[0].1)
    }

    fn configured(&self, origin: &Origin) -> Option<&HttpClient> {
        self.entries
            .iter()
            .find(|(of, _)| of == origin)
            .map(|(_, client)| client)
    }
}

fn client(host: &str, profile: &Profile) -> Result<HttpClient, RegistryError> {
    HttpClient::new(profile).map_err(|error| of_http(error, host, "set up the connection to a registry"))
}

/// A base client's error as one of `operation` at `place`.
pub(crate) fn of_http(error: HttpError, place: &str, operation: &str) -> RegistryError {
    let kind = match error.kind() {
        HttpErrorKind::Dns => ErrorKind::Dns,
        HttpErrorKind::AddressRefused | HttpErrorKind::Forbidden => ErrorKind::OriginRefused,
        HttpErrorKind::Refused => ErrorKind::ConnectionRefused,
        HttpErrorKind::Reset => ErrorKind::ConnectionReset,
        HttpErrorKind::Unreachable => ErrorKind::Unreachable,
        HttpErrorKind::ConnectTimeout | HttpErrorKind::HeaderTimeout | HttpErrorKind::IdleTimeout => {
            ErrorKind::Timeout
        }
        HttpErrorKind::Proxy => ErrorKind::Proxy,
        HttpErrorKind::TlsUnknownCa => ErrorKind::TlsUnknownCa,
        HttpErrorKind::TlsHostname => ErrorKind::TlsHostname,
        HttpErrorKind::TlsCertTime => ErrorKind::TlsCertTime,
        HttpErrorKind::TlsHttpMismatch => ErrorKind::TlsHttpMismatch,
        HttpErrorKind::Tls => ErrorKind::Tls,
        HttpErrorKind::Malformed => ErrorKind::Malformed,
        HttpErrorKind::TooLarge => ErrorKind::TooLarge,
        HttpErrorKind::RequestBody => return of_request_body(error, place, operation),
        HttpErrorKind::Setup => ErrorKind::Io,
    };
    RegistryError::new(kind, place, operation)
        .detail(&error.detail.clone())
        .caused_by(error)
}

/// What a request's body failed with is the error of whoever made the body (the registry that is
/// copied from), not of the one it was sent to.
fn of_request_body(error: HttpError, place: &str, operation: &str) -> RegistryError {
    let detail = error.detail.clone();
    match error
        .into_request_body()
        .map(|own| own.downcast::<RegistryError>())
    {
        Some(Ok(own)) => *own,
        Some(Err(other)) => RegistryError::new(ErrorKind::Io, place, operation).detail(&other.to_string()),
        None => RegistryError::new(ErrorKind::Timeout, place, operation).detail(&detail),
    }
}
