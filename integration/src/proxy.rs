//! A TCP proxy that remembers every byte its clients sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::error::{Context, Result};

/// A listener on the loopback that records what it is sent, and passes it on
/// to a server if it has one behind it.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the connections of a recorder have in common.
#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<u8>>,
    passed: AtomicU64,
    /// Bytes a second and connection towards the client; 0 is no limit.
    rate: AtomicU64,
}

impl Shared {
    fn remember(&self, bytes: &[u8]) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
    }

    /// Counts what goes to a client, and makes it take its time.
    async fn pass(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
        let rate = self.rate.load(Ordering::Relaxed);
        if let Some(milliseconds) = (bytes * 1000).checked_div(rate) {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
    }
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
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, upstream, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
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
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many bytes went to clients so far.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Slows what goes to each client to so many bytes a second; 0 ends that.
    pub fn slow_down(&self, rate: u64) {
        self.shared.rate.store(rate, Ordering::Relaxed);
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

async fn accept(listener: TcpListener, upstream: Option<String>, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A broken connection is the client's to notice.
        connections.spawn(connection(client, upstream.clone(), Arc::clone(&shared)));
    }
}

async fn connection(
    mut client: TcpStream,
    upstream: Option<String>,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    let Some(upstream) = upstream else {
        let mut first = vec![0; 8192];
        let count = client.read(&mut first).await?;
        first.truncate(count);
        first.push(b'\n');
        shared.remember(&first);
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
            shared.remember(&buffer[..count]);
            to_server.write_all(&buffer[..count]).await?;
        }
    };
    let downward = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let count = from_server.read(&mut buffer).await?;
            if count == 0 {
                return to_client.shutdown().await;
            }
            shared.pass(count as u64).await;
            to_client.write_all(&buffer[..count]).await?;
        }
    };
    tokio::try_join!(upward, downward).map(drop)
}
