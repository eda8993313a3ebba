//! Certificates: reload, and nodes that log in by theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use syncd_config::config::{AnonymousPull, ServerTls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::harness::{Reply, Request, Server};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

struct Leaf {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn issue(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf {
            cert,
            key: key.serialize_pem(),
        }
    }
}

struct Files {
    _dir: tempfile::TempDir,
    tls: ServerTls,
}

impl Files {
    fn new(leaf: &Leaf, client_ca: Option<&Authority>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| -> PathBuf { dir.path().join(name) };
        let tls = ServerTls {
            cert_file: file("cert.pem"),
            key_file: file("key.pem"),
            client_ca_file: client_ca.map(|_| file("ca.pem")),
        };
        if let Some(authority) = client_ca {
            std::fs::write(file("ca.pem"), &authority.pem).unwrap();
        }
        let files = Self { _dir: dir, tls };
        files.write(leaf);
        files
    }

    fn write(&self, leaf: &Leaf) {
        put(&self.tls.cert_file, &leaf.cert);
        put(&self.tls.key_file, &leaf.key);
    }
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Speaks TLS trusting `authority`, with a certificate or none.
async fn send(
    server: &Server,
    authority: &Authority,
    node: Option<&Leaf>,
    request: Request,
) -> Result<Reply, std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_root_certificates(roots);
    let config = match node {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let chain = vec![CertificateDer::from_pem_slice(leaf.cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::try_from("registry.example").unwrap();
    let stream = server.connect().await;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // In TLS 1.3 the server's verdict on our certificate comes with the first read.
    stream.write_all(&request.bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(Reply::parse(&answer)),
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_and_a_bad_one_is_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new(&old.issue("registry.example"), None);
    let server = Server::start_with(AnonymousPull::All, Some(files.tls.clone())).await;
    let ping = |authority| send(&server, authority, None, Request::new("GET", "/v2/"));
    assert_eq!(ping(&old).await.unwrap().status, 200);
    assert!(ping(&new).await.is_err());

    put(&files.tls.cert_file, "not a certificate");
    let error = server.registry.reload(&server.config).unwrap_err();
    assert_eq!(error.kind(), "registry_certificate");
    assert_eq!(ping(&old).await.unwrap().status, 200, "the old one still serves");

    // The new certificate with the old key: half of a rotation.
    let fresh = new.issue("registry.example");
    put(&files.tls.cert_file, &fresh.cert);
    assert!(server.registry.reload(&server.config).is_err());
    assert_eq!(ping(&old).await.unwrap().status, 200);

    put(&files.tls.key_file, &fresh.key);
    server.registry.reload(&server.config).unwrap();
    assert_eq!(ping(&new).await.unwrap().status, 200);
    assert!(ping(&old).await.is_err());
}

#[tokio::test]
async fn a_node_reads_by_its_certificate_and_writes_nothing() {
    let (ours, nodes, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::new(&ours.issue("registry.example"), Some(&nodes));
    let server = Server::start_with(AnonymousPull::None, Some(files.tls.clone())).await;
    let node = nodes.issue("node-1");
    let request = |method: &str, path: &str| Request::new(method, path);
    for (who, method, path, expected) in [
        (None, "GET", "/v2/", 401),
        (None, "GET", "/v2/a/manifests/1", 401),
        (Some(&node), "GET", "/v2/", 200),
        (Some(&node), "GET", "/v2/a/manifests/1", 404),
        (Some(&node), "POST", "/v2/a/blobs/uploads/", 401),
    ] {
        let reply = send(&server, &ours, who, request(method, path)).await.unwrap();
        assert_eq!(reply.status, expected, "{method} {path}");
    }
    // A pod's secret beside the node's certificate does no harm.
    let with_secret = request("GET", "/v2/").login("AWS", "token");
    assert_eq!(
        send(&server, &ours, Some(&node), with_secret)
            .await
            .unwrap()
            .status,
        200
    );
    // A user may write over the same connection.
    let writer = request("POST", "/v2/a/blobs/uploads/").user("writer");
    assert_eq!(
        send(&server, &ours, Some(&node), writer).await.unwrap().status,
        202
    );
    let stranger = strangers.issue("node-1");
    assert!(
        send(&server, &ours, Some(&stranger), request("GET", "/v2/"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_let_go() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue("registry.example"), None);
    let server = Server::start_with(AnonymousPull::All, Some(files.tls.clone())).await;
    let mut stream = server.connect().await;
    let mut silent = server.connect().await;
    let mut answer = Vec::new();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\n\r\n").await.unwrap();
    stream.read_to_end(&mut answer).await.ok();
    assert!(!answer.starts_with(b"HTTP"));
    let reply = send(&server, &authority, None, Request::new("GET", "/v2/"))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "others are served meanwhile");
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    silent.read_to_end(&mut answer).await.ok();
    assert!(
        began.elapsed() <= std::time::Duration::from_secs(11),
        "{:?}",
        began.elapsed()
    );
}
