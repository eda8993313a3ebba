//! A real Kubernetes API server with its own etcd.
//!
//! No controller manager runs, so nothing makes service accounts or moves pods
//! along; no scheduler either, so a pod names its node.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tempfile::TempDir;

use crate::certs::{Authority, Identity, signing_key};
use crate::error::{Context, Result};
use crate::http::get;
use crate::process::{Server, free_port};
use crate::tools::Tools;

/// A running API server.
pub struct Apiserver {
    /// A client with all rights.
    pub client: Client,
    kubeconfig: PathBuf,
    url: String,
    authority: Authority,
    server: Server,
    _etcd: Server,
    folder: TempDir,
}

impl Apiserver {
    /// Starts etcd and kube-apiserver and waits until it is ready.
    pub async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("syncd-apiserver-").context("make a folder")?;
        let (etcd, etcd_url) = start_etcd(folder.path()).await?;
        let authority = Authority::new(folder.path())?;
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let admin = authority.client("admin", "test-admin", "system:masters")?;
        let kubeconfig = write_kubeconfig(folder.path(), &url, &authority, &admin, "admin")?;
        let client = client(&kubeconfig).await?;

        let command = command(folder.path(), port, &etcd_url, &authority)?;
        let log = folder.path().join("apiserver.log");
        let mut server = Server::start("kube-apiserver", command, &log)?;
        server
            .wait_ready(Duration::from_secs(90), async || is_ready(&client).await)
            .await?;
        Ok(Self {
            client,
            kubeconfig,
            url,
            authority,
            server,
            _etcd: etcd,
            folder,
        })
    }

    /// A kubeconfig with all rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig for another user and group.
    pub fn kubeconfig_for(&self, file: &str, user: &str, group: &str) -> Result<PathBuf> {
        let identity = self.authority.client(file, user, group)?;
        write_kubeconfig(self.folder.path(), &self.url, &self.authority, &identity, file)
    }

    /// A kubeconfig with exactly the rights of a service account, by a token of its own that is
    /// good for an hour. The account must be there; its namespace becomes the context's.
    pub async fn kubeconfig_of_account(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let reply = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .context("ask for a service account's token")?;
        let token = reply.status.map(|status| status.token).unwrap_or_default();
        let user = serde_json::json!({ "token": token });
        let name = format!("account-{namespace}-{account}");
        let path = write(
            self.folder.path(),
            &self.url,
            &self.authority,
            user,
            &name,
            namespace,
        )?;
        // The token is a secret, though only of this test.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).context("close a kubeconfig")?;
        Ok(path)
    }

    /// A client for a kubeconfig of this server.
    pub async fn client_of(&self, kubeconfig: &Path) -> Result<Client> {
        client(kubeconfig).await
    }

    /// A `kubectl` command with all rights.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(Tools::path("kubectl")?);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command.env("HOME", self.folder.path());
        Ok(command)
    }

    /// The authority that signs its certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The end of its log, for a failure message.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}

async fn start_etcd(folder: &Path) -> Result<(Server, String)> {
    let (port, peer) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer}");
    let mut command = Command::new(Tools::path("etcd")?);
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("default={peer}")])
        // A test's cluster does not outlive a power cut.
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    let mut server = Server::start("etcd", command, &folder.join("etcd.log"))?;
    let host = format!("127.0.0.1:{port}");
    server
        .wait_ready(Duration::from_secs(30), async || {
            get(&host, "/health").await.is_ok_and(|reply| reply.status == 200)
        })
        .await?;
    Ok((server, url))
}

fn command(folder: &Path, port: u16, etcd: &str, authority: &Authority) -> Result<Command> {
    let serving = authority.server("apiserver", &["127.0.0.1", "localhost", "10.0.0.1"])?;
    let tokens = signing_key(folder, "service-account")?;
    let mut command = Command::new(Tools::path("kube-apiserver")?);
    let mut flag = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        let mut flag = std::ffi::OsString::from(format!("--{name}="));
        flag.push(value);
        command.arg(flag);
    };
    flag("etcd-servers", &etcd);
    flag("secure-port", &port.to_string());
    flag("bind-address", &"127.0.0.1");
    flag("advertise-address", &"127.0.0.1");
    flag("cert-dir", &folder.join("apiserver-certs"));
    flag("tls-cert-file", &serving.cert);
    flag("tls-private-key-file", &serving.key);
    flag("client-ca-file", &authority.certificate());
    flag("authorization-mode", &"Node,RBAC");
    flag("service-account-key-file", &tokens.cert);
    flag("service-account-signing-key-file", &tokens.key);
    flag("service-account-issuer", &"https://kubernetes.default.svc");
    flag("service-cluster-ip-range", &"10.0.0.0/24");
    flag("endpoint-reconciler-type", &"none");
    // Without a controller manager no namespace gets its default account.
    flag("disable-admission-plugins", &"ServiceAccount");
    Ok(command)
}

async fn is_ready(client: &Client) -> bool {
    let request = http::Request::get("/readyz").body(Vec::new());
    match request {
        Ok(request) => client.request_text(request).await.is_ok(),
        Err(_) => false,
    }
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).context("read a kubeconfig")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .context("use a kubeconfig")?;
    Client::try_from(config).context("make a Kubernetes client")
}

fn write_kubeconfig(
    folder: &Path,
    url: &str,
    authority: &Authority,
    identity: &Identity,
    name: &str,
) -> Result<PathBuf> {
    let user = serde_json::json!({
        "client-certificate": identity.cert,
        "client-key": identity.key,
    });
    write(folder, url, authority, user, name, "default")
}

fn write(
    folder: &Path,
    url: &str,
    authority: &Authority,
    user: serde_json::Value,
    name: &str,
    namespace: &str,
) -> Result<PathBuf> {
    let context = serde_json::json!({ "cluster": "test", "user": name, "namespace": namespace });
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": context }],
        "clusters": [{
            "name": "test",
            "cluster": { "server": url, "certificate-authority": authority.certificate() },
        }],
        "users": [{ "name": name, "user": user }],
    });
    let path = folder.join(format!("{name}.kubeconfig"));
    fs::write(&path, config.to_string()).context("write a kubeconfig")?;
    Ok(path)
}
