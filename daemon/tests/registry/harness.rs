//! A registry on a free port, and an HTTP client that sends exactly what a test wrote.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use syncd::oci::layout::Layout;
use syncd::registry::{Registry, serve};
use syncd_config::Digest;
use syncd_config::config::{AnonymousPull, EmbeddedRegistry, RegistryAuth, ServerTls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A running registry; its store goes with it.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) registry: Arc<Registry>,
    pub(crate) config: EmbeddedRegistry,
    pub(crate) store: Layout,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<()>,
    pub(crate) dir: tempfile::TempDir,
}

impl Server {
    /// With the users `reader` and `writer`, whose passwords are `<user>-pw`.
    pub(crate) async fn start(policy: AnonymousPull) -> Self {
        Self::start_with(policy, None).await
    }

    pub(crate) async fn start_with(policy: AnonymousPull, tls: Option<ServerTls>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let htpasswd = dir.path().join("htpasswd");
        std::fs::write(&htpasswd, users()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let config = EmbeddedRegistry {
            listen: addr,
            names: vec!["registry.corp.example:5000".parse().unwrap()],
            tls,
            auth: RegistryAuth {
                htpasswd_file: Some(htpasswd),
                anonymous_pull: policy,
                push: vec!["writer".to_owned(), "other".to_owned()],
            },
        };
        let store = Layout::own(&dir.path().join("store")).unwrap();
        let registry = Arc::new(Registry::new(&config, store.clone()).unwrap());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, registry.clone(), async {
            stopped.await.ok();
        }));
        Self {
            addr,
            registry,
            config,
            store,
            stop: Some(stop),
            task,
            dir,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// A request without a login and without a body.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        Request::new("GET", path).send(self).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        Request::new("HEAD", path).send(self).await
    }

    /// As `writer`.
    pub(crate) async fn write(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        Request::new(method, path)
            .user("writer")
            .body(body)
            .send(self)
            .await
    }

    /// A blob in one request.
    pub(crate) async fn put_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let reply = self.write("POST", &path, content).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        digest
    }

    pub(crate) async fn put_manifest(&self, name: &str, reference: &str, content: &[u8]) -> Digest {
        let request = Request::new("PUT", &format!("/v2/{name}/manifests/{reference}"));
        let reply = request
            .user("writer")
            .header("Content-Type", OCI_MANIFEST)
            .body(content)
            .send(self)
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Digest::sha256(content)
    }

    /// An image of one layer and an empty config; gives the manifest.
    pub(crate) async fn put_image(&self, name: &str, tag: &str, layer: &[u8]) -> Vec<u8> {
        self.put_blob(name, b"{}").await;
        self.put_blob(name, layer).await;
        let manifest = image(layer);
        self.put_manifest(name, tag, &manifest).await;
        manifest
    }

    pub(crate) fn publish(&self, name: &str) {
        self.store.set_public(&name.parse().unwrap(), true).unwrap();
    }

    /// A new upload as `writer`; gives its path.
    pub(crate) async fn begin(&self, name: &str) -> String {
        let reply = self
            .write("POST", &format!("/v2/{name}/blobs/uploads/"), b"")
            .await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.header("location").to_owned()
    }
}

fn users() -> &'static str {
    static LINES: OnceLock<String> = OnceLock::new();
    LINES.get_or_init(|| {
        let line = |user: &str| format!("{user}:{}\n", bcrypt::hash(format!("{user}-pw"), 4).unwrap());
        ["reader", "writer", "other"].map(line).concat()
    })
}

/// The manifest of an image with an empty config and this layer.
pub(crate) fn image(layer: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }))
    .unwrap()
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::sha256(content), "size": content.len()})
}

/// A request to be sent on a connection of its own.
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
    length: bool,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"),
            body: Vec::new(),
            length: !matches!(method, "GET" | "HEAD"),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.length &= !name.eq_ignore_ascii_case("content-length");
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn user(self, user: &str) -> Self {
        let password = format!("{user}-pw");
        self.login(user, &password)
    }

    pub(crate) fn login(self, user: &str, password: &str) -> Self {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {text}"))
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_owned();
        self
    }

    /// A body by chunked transfer coding.
    pub(crate) fn chunked(mut self, body: &[u8]) -> Self {
        self.length = false;
        self.body = format!("{:x}\r\n", body.len()).into_bytes();
        self.body.extend_from_slice(body);
        self.body.extend_from_slice(b"\r\n0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked")
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        if self.length {
            self.head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (self.head + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(crate) async fn send(self, server: &Server) -> Reply {
        let mut stream = server.connect().await;
        exchange(&mut stream, &self.bytes()).await
    }
}

/// Sends bytes and reads the answer to the end of the connection.
pub(crate) async fn exchange<S>(stream: &mut S, bytes: &[u8]) -> Reply
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // A server that refuses early may close while we still write: its answer counts.
    stream.write_all(bytes).await.ok();
    stream.flush().await.ok();
    Reply::read(stream).await
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok();
        Self::parse(&bytes)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            panic!("no answer: {:?}", String::from_utf8_lossy(bytes))
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_owned(),
        }
    }

    /// The header's value, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and code, as `404 BLOB_UNKNOWN`; the status alone without an error document.
    pub(crate) fn error(&self) -> String {
        match serde_json::from_slice::<serde_json::Value>(&self.body) {
            Ok(body) if body["errors"].is_array() => {
                format!("{} {}", self.status, body["errors"][0]["code"].as_str().unwrap())
            }
            _ => self.status.to_string(),
        }
    }
}
