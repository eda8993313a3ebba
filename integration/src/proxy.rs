//! A TCP proxy that remembers every byte its clients sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::error::{Context, Result};

/// A listener on the loopback that records what it is sent, and passes it on
/// to a server if it has one behind it.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// A recorder before the server at `upstream` (`host:port`).
    pub async fn before(upstream: &str) -> Result<Self> {
        Self::start(Some(upstream.to_owned())).await
    }

    /// A recorder with nothing behind it: it closes each connection after the
    /// first bytes.
    pub async fn silent() -> Result<Self> {
        Self::start(None).await
    }

    async fn start(upstream: Option<String>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("start a recorder")?;
        let address = listener.local_addr().context("start a recorder")?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, upstream, Arc::clone(&seen)));
        Ok(Self { address, seen, task })
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// As a plain HTTP URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that clients sent so far, all connections together.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same as text, for plain HTTP.
    pub fn seen_text(&self) -> String {
        String::from_utf8_lossy(&self.seen()).into_owned()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, upstream: Option<String>, seen: Arc<Mutex<Vec<u8>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A broken connection is the client's to notice.
        connections.spawn(connection(client, upstream.clone(), Arc::clone(&seen)));
    }
}

async fn connection(
    mut client: TcpStream,
    upstream: Option<String>,
    seen: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let Some(upstream) = upstream else {
        let mut first = vec![0; 8192];
        let count = client.read(&mut first).await?;
        first.truncate(count);
        first.push(b'\n');
        remember(&seen, &first);
        return Ok(());
    };
    let server = TcpStream::connect(upstream).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upward = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            remember(&seen, &buffer[..count]);
            to_server.write_all(&buffer[..count]).await?;
        }
    };
    let downward = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(upward, downward).map(drop)
}

fn remember(seen: &Mutex<Vec<u8>>, bytes: &[u8]) {
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend_from_slice(bytes);
}
