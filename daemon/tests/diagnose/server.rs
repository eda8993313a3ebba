//! A scripted server on a raw socket: it reads a request's head, asks a function for the bytes to
//! answer with, sends them and hangs up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a request says.
pub(crate) struct Ask {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Send these bytes and hang up.
    Bytes(Vec<u8>),
    /// Say nothing, and keep the connection.
    Silence,
}

pub(crate) type Script = Arc<dyn Fn(&Ask) -> Reply + Send + Sync>;

/// A running server; ends with its runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A plain http server.
    pub(crate) async fn plain(script: Script) -> Self {
        Self::start(script, None, b"").await
    }

    /// A server that speaks TLS.
    pub(crate) async fn tls(script: Script, acceptor: TlsAcceptor) -> Self {
        Self::start(script, Some(acceptor), b"").await
    }

    /// A server that says `banner` at once and hangs up.
    pub(crate) async fn banner(banner: &'static [u8]) -> Self {
        Self::start(Arc::new(|_| Reply::Silence), None, banner).await
    }

    async fn start(script: Script, tls: Option<TlsAcceptor>, banner: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, tls, log) = (script.clone(), tls.clone(), log.clone());
                tokio::spawn(async move {
                    if !banner.is_empty() {
                        let _sent = stream.write_all(banner).await;
                        return;
                    }
                    match tls {
                        None => serve(stream, script, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// `METHOD path` of each request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    let mut byte = [0u8];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) if head.len() < 16 * 1024 => head.push(byte[0]),
            _ => break,
        }
        // The first byte of a TLS greeting, which has no end that could be waited for.
        if head == [22] {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    if !matches!(method.as_str(), "GET" | "HEAD" | "POST" | "CONNECT") {
        // What every http server says to a TLS greeting.
        let _sent = stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await;
        return;
    }
    let path = words.next().unwrap_or_default().to_owned();
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.trim().to_owned())
    });
    log.lock()
        .expect("no test panics with it")
        .push(format!("{method} {path}"));
    let ask = Ask {
        method,
        path,
        authorization,
    };
    match script(&ask) {
        Reply::Bytes(bytes) => {
            let _sent = stream.write_all(&bytes).await;
            let _ended = stream.shutdown().await;
        }
        Reply::Silence => std::future::pending().await,
    }
}

/// An answer with a body; HEAD gets the same head and no body.
pub(crate) fn answer(ask: &Ask, status: &str, headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if ask.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    Reply::Bytes(bytes)
}

/// An error in the JSON form of distribution-spec.
pub(crate) fn refuse(ask: &Ask, status: &str, headers: &str, code: &str, message: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    answer(
        ask,
        status,
        &format!("Content-Type: application/json\r\n{headers}"),
        body.as_bytes(),
    )
}
