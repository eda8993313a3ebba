//! A small HTTP/1 server loop: bounded connections, bounded patience, an end that lets answers out.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// More connections than this wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// A client has this long to send its request's head.
const HEAD: Duration = Duration::from_secs(10);
/// A connection to the status listener lives this long, whatever its client does with it.
pub const SHORT_LIVED: Option<Duration> = Some(Duration::from_secs(120));
/// At the end, answers under way have this long to get out.
const DRAIN: Duration = Duration::from_secs(3);
/// After a failed accept (file handles gone), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What connections are accepted from.
pub trait Listener: Send {
    /// A connection.
    type Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = std::io::Result<Self::Connection>> + Send;
}

impl Listener for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn next(&self) -> std::io::Result<Self::Connection> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn next(&self) -> std::io::Result<Self::Connection> {
        Ok(self.accept().await?.0)
    }
}

/// Serves until `stop` is true, then lets answers under way finish for a few seconds. `lifetime`
/// ends a connection whose client reads nothing; a trusted one may wait for hours.
pub async fn serve(
    listener: impl Listener,
    router: Router,
    lifetime: Option<Duration>,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            let lifetime = lifetime.unwrap_or(Duration::MAX);
            if tokio::time::timeout(lifetime, one(stream, service, stop))
                .await
                .is_err()
            {
                debug!("a connection lived too long and was cut");
            }
            drop(slot);
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        debug!("connections were cut at the end");
    }
}

async fn accept<L: Listener>(
    listener: &L,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(L::Connection, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    Ok((listener.next().await?, slot))
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: TowerToHyperService<Router>,
    mut stop: watch::Receiver<bool>,
) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// Resolves when `stop` is true, or its sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::{Mutex, mpsc};
    use tokio::time::Instant;

    use super::*;

    /// Connections by hand: what is sent here is accepted there.
    struct ByHand(Mutex<mpsc::UnboundedReceiver<DuplexStream>>);

    impl Listener for ByHand {
        type Connection = DuplexStream;

        async fn next(&self) -> std::io::Result<DuplexStream> {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok(stream),
                None => std::future::pending().await,
            }
        }
    }

    struct Bench {
        connections: mpsc::UnboundedSender<DuplexStream>,
        stop: watch::Sender<bool>,
        serving: tokio::task::JoinHandle<()>,
    }

    impl Bench {
        fn start() -> Self {
            let (connections, accepted) = mpsc::unbounded_channel();
            let (stop, stopping) = watch::channel(false);
            let large = Router::new()
                .route("/", get(async || "ok"))
                .route("/large", get(async || "x".repeat(1 << 20)));
            let listener = ByHand(Mutex::new(accepted));
            let serving = tokio::spawn(serve(listener, large, SHORT_LIVED, stopping));
            Self {
                connections,
                stop,
                serving,
            }
        }

        fn connect(&self) -> DuplexStream {
            let (ours, theirs) = duplex(1024);
            self.connections.send(theirs).unwrap();
            ours
        }
    }

    /// Reads to the end; how much came.
    async fn read(stream: &mut DuplexStream) -> usize {
        let mut all = Vec::new();
        match stream.read_to_end(&mut all).await {
            Ok(count) => count,
            Err(_reset) => all.len(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_sent_head_is_not_waited_for() {
        let bench = Bench::start();
        let mut client = bench.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        let began = Instant::now();
        read(&mut client).await;
        assert!(
            began.elapsed() <= HEAD + Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut() {
        let bench = Bench::start();
        let mut client = bench.connect();
        client
            .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert!(read(&mut client).await < 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn more_connections_than_slots_wait_their_turn() {
        let bench = Bench::start();
        let mut held: Vec<_> = (0..CONNECTIONS).map(|_| bench.connect()).collect();
        let mut late = bench.connect();
        late.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_secs(5), late.read(&mut byte)).await;
        assert!(early.is_err(), "it was served beyond the slots");
        held.pop();
        assert_eq!(late.read(&mut byte).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_lets_answers_out_but_not_for_long() {
        let bench = Bench::start();
        let mut slow = bench.connect();
        slow.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        bench.stop.send_replace(true);
        bench.serving.await.unwrap();
        assert!(
            began.elapsed() <= DRAIN + Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}
