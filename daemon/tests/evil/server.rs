//! A scripted server on a raw socket: it records every request as it came and answers exactly
//! the bytes it was told to.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Everything, as bytes.
    pub(crate) raw: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes these bytes; the connection lives on when they say so.
    Say(Vec<u8>),
    /// Writes the first, waits, writes the next, and so on; then closes.
    Slowly(Vec<Vec<u8>>, Duration),
    /// Writes the head and then that many bytes of filler, as fast as they are taken.
    Flood(Vec<u8>, u64),
    /// Writes these bytes and says no more, keeping the connection.
    Hang(Vec<u8>),
    /// Closes without a word.
    Close,
}

pub(crate) type Script = Arc<dyn Fn(&Seen, usize) -> Act + Send + Sync>;

/// A running server; ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<(usize, usize)>>,
}

impl Server {
    pub(crate) async fn plain(script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    pub(crate) async fn tls(tls: &Ca, script: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start(Some(tls.acceptor(&["127.0.0.1", "localhost"])), Arc::new(script)).await
    }

    pub(crate) async fn start(tls: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (server.seen.clone(), server.connections.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (seen, script, tls) = (seen.clone(), script.clone(), tls.clone());
                let connections = connections.clone();
                tokio::spawn(async move {
                    {
                        let mut open = connections.lock().unwrap();
                        open.0 += 1;
                        open.1 = open.1.max(open.0);
                    }
                    let served = match tls {
                        None => serve(tcp, &seen, &script).await,
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => serve(stream, &seen, &script).await,
                            Err(error) => Err(error),
                        },
                    };
                    connections.lock().unwrap().0 -= 1;
                    served
                });
            }
        });
        server
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The most connections that were open at once.
    pub(crate) fn most_connections(&self) -> usize {
        self.connections.lock().unwrap().1
    }

    pub(crate) fn host(&self) -> syncd_config::RegistryHost {
        self.address.to_string().parse().unwrap()
    }
}

async fn serve<S>(mut stream: S, seen: &Mutex<Vec<Seen>>, script: &Script) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len()
        };
        match script(&request, number) {
            Act::Say(bytes) => stream.write_all(&bytes).await?,
            Act::Slowly(parts, pause) => {
                for part in parts {
                    stream.write_all(&part).await?;
                    stream.flush().await?;
                    tokio::time::sleep(pause).await;
                }
                return stream.shutdown().await;
            }
            Act::Flood(head, mut left) => {
                stream.write_all(&head).await?;
                let filler = vec![b'x'; 64 * 1024];
                while left > 0 {
                    let part = filler.len().min(usize::try_from(left).unwrap());
                    stream.write_all(&filler[..part]).await?;
                    left -= part as u64;
                }
            }
            Act::Hang(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                // Until the client gives up.
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
            Act::Close => return stream.shutdown().await,
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn read_request<S>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Seen>>
where
    S: AsyncRead + Unpin,
{
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(stream, buffer).await? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.lines();
    // A proxy passes the absolute form on (RFC 9112, 3.2.2); scripts want to see the path.
    let line = lines.next().unwrap_or_default().to_owned();
    let line = match line.split_once(" http://") {
        Some((method, rest)) => format!("{method} {}", &rest[rest.find('/').unwrap()..]),
        None => line,
    };
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + length && more(stream, buffer).await? {}
    let all = end + length.min(buffer.len() - end);
    let raw: Vec<u8> = buffer.drain(..all).collect();
    Ok(Some(Seen {
        line,
        headers,
        body: raw[end..].to_vec(),
        raw,
    }))
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut part = [0; 16 * 1024];
    let read = stream.read(&mut part).await?;
    buffer.extend_from_slice(&part[..read]);
    Ok(read > 0)
}

/// An answer with a length, after which the connection lives on.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Act {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    Act::Say(text.into_bytes())
}

/// A CA of the test's own, in a file as a user would have it.
pub(crate) struct Ca {
    key: KeyPair,
    certificate: rcgen::Certificate,
    params: CertificateParams,
    pub(crate) file: tempfile::NamedTempFile,
}

impl Ca {
    pub(crate) fn new() -> Self {
        Self::named("test CA")
    }

    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), certificate.pem()).unwrap();
        Self {
            key,
            certificate,
            params,
            file,
        }
    }

    /// A server's side with a certificate for these names.
    pub(crate) fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        self.acceptor_with(names, |_| {})
    }

    pub(crate) fn acceptor_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let chain = vec![
            CertificateDer::from(certificate.der().to_vec()),
            CertificateDer::from(self.certificate.der().to_vec()),
        ];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Answers in order; the last one again and again.
pub(crate) fn in_order(acts: Vec<Act>) -> impl Fn(&Seen, usize) -> Act + Send + Sync + 'static {
    let acts = Mutex::new(VecDeque::from(acts));
    move |_, _| {
        let mut acts = acts.lock().unwrap();
        if acts.len() > 1 {
            acts.pop_front().unwrap()
        } else {
            acts.front().unwrap().clone()
        }
    }
}
