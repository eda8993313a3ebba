//! The least that moves the set: one loop a connection, no retries, no login.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::try_join_all;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use syncd_integration::Result;
use syncd_integration::error::{Context, Error};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::set::{Manifest, Set};

/// A connection.
struct Wire {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Wire {
    async fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)
            .await
            .context(format!("connect to {host}"))?;
        stream.set_nodelay(true).context("set up a connection")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("start HTTP")?;
        tokio::spawn(connection);
        Ok(Self {
            host: host.to_owned(),
            sender,
        })
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", media_type)
            .header("accept", ACCEPT)
            .body(Full::new(body))
            .context("write a request")?;
        self.sender.ready().await.context("reuse a connection")?;
        self.sender
            .send_request(request)
            .await
            .context(format!("send {path}"))
    }

    /// Sends, wants that status, and reads the reply to its end.
    async fn expect(
        &mut self,
        status: StatusCode,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut reply = self.send(method, path, media_type, body).await?;
        let got = reply.status();
        let text = if got == StatusCode::OK {
            Bytes::new()
        } else {
            drain(&mut reply).await?
        };
        if got == status {
            return Ok(reply);
        }
        Err(Error::Other {
            operation: format!("get {status} for {path}"),
            source: format!("{got}: {}", String::from_utf8_lossy(&text)).into(),
        })
    }
}

async fn drain(reply: &mut Response<Incoming>) -> Result<Bytes> {
    Ok(reply
        .body_mut()
        .collect()
        .await
        .context("read a reply")?
        .to_bytes())
}

/// Runs `work` for each of `count` numbers on some connections.
async fn spread<F: Future<Output = Result<()>>>(
    host: &str,
    connections: usize,
    count: usize,
    work: impl Fn(usize, std::sync::Arc<tokio::sync::Mutex<Wire>>) -> F,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let loops = (0..connections.min(count)).map(|_| async {
        let wire = std::sync::Arc::new(tokio::sync::Mutex::new(Wire::open(host).await?));
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number, wire.clone()).await?;
        }
    });
    try_join_all(loops).await.map(drop)
}

/// Fetches every blob once; to nothing, or hashed, written and synced to files.
pub(crate) async fn get_all(host: &str, set: &Set, connections: usize, to: Option<&Path>) -> Result<()> {
    let owner = owners(set);
    spread(host, connections, set.blobs.len(), |number, wire| {
        let blob = &set.blobs[number];
        let path = format!("/v2/{}/blobs/{}", owner[number], blob.digest);
        async move {
            let mut wire = wire.lock().await;
            let mut reply = wire
                .expect(StatusCode::OK, Method::GET, &path, "text/plain", Bytes::new())
                .await?;
            match to {
                Some(folder) => keep(reply.body_mut(), &folder.join(&blob.digest[7..])).await,
                None => discard(reply.body_mut()).await,
            }
        }
    })
    .await
}

async fn discard(body: &mut Incoming) -> Result<()> {
    while let Some(frame) = body.frame().await {
        frame.context("read a blob")?;
    }
    Ok(())
}

async fn keep(body: &mut Incoming, path: &Path) -> Result<()> {
    let mut hash = Sha256::new();
    let mut file = tokio::fs::File::create(path).await.context("write a blob")?;
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.context("read a blob")?.into_data() {
            hash.update(&bytes);
            file.write_all(&bytes).await.context("write a blob")?;
        }
    }
    let hex = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    if !path.ends_with(&hex) {
        return Err(Error::Other {
            operation: "fetch a blob".to_owned(),
            source: "other bytes came".into(),
        });
    }
    file.flush().await.context("write a blob")?;
    file.sync_data().await.context("sync a blob")
}

/// Puts everything: each blob once, mounts where a second repository has it,
/// manifests last.
pub(crate) async fn put_all(host: &str, prefix: &str, set: &Set, connections: usize) -> Result<()> {
    let owner = owners(set);
    spread(host, connections, set.blobs.len(), |number, wire| {
        let blob = &set.blobs[number];
        let repository = format!("{prefix}{}", owner[number]);
        async move {
            let mut wire = wire.lock().await;
            let path = format!("/v2/{repository}/blobs/uploads/");
            let reply = wire
                .expect(StatusCode::ACCEPTED, Method::POST, &path, BLOB, Bytes::new())
                .await?;
            let location = reply
                .headers()
                .get("location")
                .and_then(|value| value.to_str().ok());
            let location = location.unwrap_or_default();
            let path = location.find("/v2/").map_or(location, |at| &location[at..]);
            let join = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{join}digest={}", blob.digest);
            wire.expect(StatusCode::CREATED, Method::PUT, &path, BLOB, blob.bytes.clone())
                .await
                .map(drop)
        }
    })
    .await?;
    mounts_and_manifests(host, prefix, set, connections, &owner).await
}

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
const BLOB: &str = "application/octet-stream";

async fn mounts_and_manifests(
    host: &str,
    prefix: &str,
    set: &Set,
    connections: usize,
    owner: &[&str],
) -> Result<()> {
    spread(host, connections, set.repositories.len(), |number, wire| {
        let repository = &set.repositories[number];
        let name = format!("{prefix}{}", repository.name);
        async move {
            let mut wire = wire.lock().await;
            for &blob in repository
                .blobs
                .iter()
                .filter(|&&blob| owner[blob] != repository.name)
            {
                let path = format!(
                    "/v2/{name}/blobs/uploads/?mount={}&from={prefix}{}",
                    set.blobs[blob].digest, owner[blob],
                );
                wire.expect(StatusCode::CREATED, Method::POST, &path, BLOB, Bytes::new())
                    .await?;
            }
            for Manifest {
                reference,
                media_type,
                bytes,
                ..
            } in &repository.manifests
            {
                let path = format!("/v2/{name}/manifests/{reference}");
                wire.expect(StatusCode::CREATED, Method::PUT, &path, media_type, bytes.clone())
                    .await?;
            }
            Ok(())
        }
    })
    .await
}

/// Whether every tag has arrived as it was: a copy that left something out is
/// no copy.
pub(crate) async fn check_all(host: &str, prefix: &str, set: &Set) -> Result<()> {
    let mut wire = Wire::open(host).await?;
    for repository in &set.repositories {
        for manifest in &repository.manifests {
            let path = format!("/v2/{prefix}{}/manifests/{}", repository.name, manifest.digest);
            let method = Method::HEAD;
            wire.expect(StatusCode::OK, method, &path, "text/plain", Bytes::new())
                .await?;
        }
    }
    Ok(())
}

/// The first repository that has each blob.
fn owners(set: &Set) -> Vec<&str> {
    let mut owners = vec![""; set.blobs.len()];
    for repository in set.repositories.iter().rev() {
        for &blob in &repository.blobs {
            owners[blob] = &repository.name;
        }
    }
    owners
}
