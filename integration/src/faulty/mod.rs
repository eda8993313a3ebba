//! A registry that fails on purpose, and is strict about everything else.
//!
//! Each repository has one fault of its own, so that one server serves many
//! scenarios side by side. What a real registry can be made to do is done with a
//! real one ([`crate::Registry`]); this is for the rest: refusals with a code,
//! limits, storage that breaks off, token servers that say no.
//!
//! Where it does not fail on purpose it answers as the distribution
//! specification says, and refuses what a real registry refuses: unknown names,
//! digests that are none, tokens for another repository, a manifest that the
//! client did not say it accepts, methods that pull nothing.

mod answer;
mod content;
mod login;
mod reply;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use self::login::{Login, expiring_password};
pub use self::reply::Refusal;

use crate::certs::Identity;
use crate::error::{Context, Result};

/// How a repository fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Every request for a manifest is refused.
    Manifest(Refusal),
    /// Manifests are served, every request for a blob is refused.
    Blob(Refusal),
    /// The token server refuses a token for this repository.
    Token(Refusal),
    /// Layers have their length, and other bytes.
    Damaged,
    /// Layers are announced whole; the connection ends in their middle.
    CutShort,
    /// The registry refuses every credential and repeats it: in its headers, its
    /// challenge and its body, as it came and decoded.
    Echo,
    /// The token server does.
    EchoToken,
}

/// How a registry is to be started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may pull.
    pub login: Login,
    /// Serve TLS with this certificate.
    pub identity: Option<Identity>,
}

/// A running registry.
pub struct Faulty {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// Scheme, host and port.
    url: String,
    host: String,
    login: Login,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: content::Repositories,
    tokens: login::Tokens,
    asked: Vec<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Faulty {
    /// Starts a registry without repositories on a loopback port.
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("start a faulty registry")?;
        let address = listener.local_addr().context("start a faulty registry")?;
        let tls = options.identity.as_ref().map(acceptor).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            url: format!("{scheme}://{address}"),
            host: address.to_string(),
            login: options.login,
            state: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Host and port, as written in an image reference.
    pub fn host(&self) -> String {
        self.shared.host.clone()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// An image reference at this registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.shared.host)
    }

    /// Serves the images of an OCI layout as a repository with a fault.
    pub fn serve(&self, repository: &str, layout: &Path, fault: Fault) -> Result<()> {
        let made = content::Repository::read(layout, fault)?;
        self.shared
            .state()
            .repositories
            .insert(repository.to_owned(), Arc::new(made));
        Ok(())
    }

    /// What was asked so far, as `METHOD path status` lines.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// Every token it gave out: secrets as well.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.state().tokens.all()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn acceptor(identity: &Identity) -> Result<TlsAcceptor> {
    let what = || format!("use the certificate {}", identity.cert.display());
    let chain = CertificateDer::pem_file_iter(&identity.cert)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .context(what())?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).context(what())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context(what())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context(what())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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
        let (parts, _) = request.into_parts();
        let answer = answer::answer(&shared, &parts);
        let line = format!("{} {} {}", parts.method, parts.uri, answer.status().as_u16());
        shared.state().asked.push(line);
        async { Ok::<_, Infallible>(answer) }
    });
    // Cut bodies end in an error here, as they are meant to.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}
