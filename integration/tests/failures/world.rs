//! The registries, what they hold, and what node and syncd are told about them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use syncd_integration::error::Context;
use syncd_integration::faulty::{self, Fault, Faulty, Login, Refusal, expiring_password};
use syncd_integration::image::{Image, Written, write_layout};
use syncd_integration::process::{free_port, run};
use syncd_integration::secrets::unique;
use syncd_integration::syncd::Setup;
use syncd_integration::{Node, Registry, RegistryOptions, Result};
use tempfile::TempDir;

/// Who may pull from the registries with a login.
pub(crate) const USER: &str = "puller";

/// Everything that scenarios pull from.
pub(crate) struct World {
    /// distribution, open to all.
    pub(crate) open: Registry,
    /// distribution, with a login by Basic.
    pub(crate) login: Registry,
    /// distribution with TLS of an authority that nobody was told of.
    pub(crate) unknown_ca: Registry,
    /// distribution with a certificate for another name; its authority is trusted.
    pub(crate) wrong_name: Registry,
    /// distribution that holds nothing, the node's mirror of `upstream`.
    pub(crate) mirror: Registry,
    /// A login by Bearer.
    pub(crate) bearer: Faulty,
    /// Passwords that end.
    pub(crate) expiring: Faulty,
    /// A repository for each way to fail.
    pub(crate) flaws: Faulty,
    /// Takes connections and never says a word.
    silent: TcpListener,
    /// A host that nothing listens on.
    pub(crate) refused: String,
    /// Another, which the node has a mirror for.
    pub(crate) upstream: String,
    /// The right password of the registries with a login.
    pub(crate) password: String,
    /// What syncd is told.
    pub(crate) setup: Setup,
    folder: TempDir,
}

impl World {
    /// Starts and fills all registries.
    pub(crate) async fn start() -> Result<Self> {
        let password = unique("right");
        let plain = RegistryOptions::default;
        let tls = |certificate_name| RegistryOptions {
            tls: true,
            certificate_name,
            ..plain()
        };
        let login = RegistryOptions {
            login: Some((USER.to_owned(), password.clone())),
            ..plain()
        };
        let faulty = |login| {
            Faulty::start(faulty::Options {
                login,
                ..Default::default()
            })
        };
        let named = (USER.to_owned(), password.clone());
        let (open, login, unknown_ca, wrong_name, mirror) = tokio::try_join!(
            Registry::start(plain()),
            Registry::start(login),
            Registry::start(tls(None)),
            Registry::start(tls(Some("registry.corp.example"))),
            Registry::start(plain()),
        )?;
        let basic = Login::Basic(named.0.clone(), named.1.clone());
        let world = Self {
            bearer: faulty(Login::Bearer(named.0, named.1)).await?,
            expiring: faulty(basic).await?,
            flaws: faulty(Login::Open).await?,
            silent: TcpListener::bind("127.0.0.1:0").context("listen")?,
            refused: format!("127.0.0.1:{}", free_port()?),
            upstream: format!("127.0.0.1:{}", free_port()?),
            setup: Setup::with_config("apiVersion: syncd.dev/v1alpha1\nkind: Config\n")?,
            folder: TempDir::with_prefix("syncd-failures-").context("make a folder")?,
            open,
            login,
            unknown_ca,
            wrong_name,
            mirror,
            password,
        };
        world.fill()?;
        fs::write(world.setup.config(), world.config()).context("write a config")?;
        Ok(world)
    }

    /// The host that says nothing.
    pub(crate) fn silent(&self) -> String {
        let address = self.silent.local_addr().map(|address| address.to_string());
        address.unwrap_or_default()
    }

    /// The open registry by another name, which the node speaks https to.
    pub(crate) fn plain_by_https(&self) -> String {
        self.open.host().replace("127.0.0.1", "localhost")
    }

    /// The registry with TLS by another name, which the node speaks http to.
    pub(crate) fn tls_by_http(&self) -> String {
        self.wrong_name.host().replace("127.0.0.1", "localhost")
    }

    fn fill(&self) -> Result<()> {
        for (registry, name) in [
            (&self.open, "app"),
            (&self.login, "team/private"),
            (&self.unknown_ca, "app"),
            (&self.wrong_name, "app"),
        ] {
            self.push(registry, name, "amd64")?;
        }
        self.push(&self.open, "elsewhere", "arm64")?;
        let damaged = self.push(&self.open, "damaged", "amd64")?;
        self.stored(&damaged, |bytes| bytes.iter().map(|byte| !byte).collect())?;
        let truncated = self.push(&self.open, "truncated", "amd64")?;
        self.stored(&truncated, |bytes| bytes[..bytes.len() / 2].to_vec())?;

        self.serve(&self.bearer, "team/private", Fault::None)?;
        let refused = Refusal::new(403, "DENIED", "requested access to the resource is denied");
        self.serve(&self.bearer, "team/forbidden", Fault::Token(refused.clone()))?;
        self.serve(&self.bearer, "team/denied", Fault::Manifest(refused.clone()))?;
        let down = Refusal::new(503, "UNAVAILABLE", "token service is down for maintenance");
        self.serve(&self.bearer, "team/token-down", Fault::Token(down))?;
        self.serve(&self.expiring, "team/app", Fault::None)?;

        let limited = || Refusal::new(429, "TOOMANYREQUESTS", "pull rate limit exceeded").retry_after(30);
        for (name, fault) in [
            ("limited", Fault::Manifest(limited())),
            ("limited-layers", Fault::Blob(limited())),
            ("denied", Fault::Manifest(refused)),
            (
                "broken",
                Fault::Manifest(Refusal::new(500, "UNKNOWN", "storage driver failed")),
            ),
            ("cut-short", Fault::CutShort),
        ] {
            self.serve(&self.flaws, name, fault)?;
        }
        Ok(())
    }

    fn image(&self, registry: &str, name: &str, architecture: &str) -> Result<Written> {
        let folder = self
            .folder
            .path()
            .join(format!("{registry}/{name}").replace([':', '/'], "-"));
        let image = Image {
            architecture: architecture.to_owned(),
            ..Image::of_random(fastrand::u64(..), 200_000)
        };
        let mut platforms = vec![image];
        if architecture == "arm64" {
            // Two images make an index.
            let other = Image::of_random(fastrand::u64(..), 1_000);
            platforms.push(Image {
                architecture: "s390x".to_owned(),
                ..other
            });
        }
        write_layout(&folder, "1", &platforms)
    }

    fn push(&self, registry: &Registry, name: &str, architecture: &str) -> Result<Written> {
        let image = self.image(&registry.host(), name, architecture)?;
        let to = registry.image(&format!("{name}:1"));
        let layout = image.folder.to_string_lossy().into_owned();
        // The name in the certificate does not matter to who fills it.
        let mut crane = registry.crane(&["push", "--insecure", &layout, &to])?;
        run(&mut crane)?;
        Ok(image)
    }

    fn serve(&self, registry: &Faulty, name: &str, fault: Fault) -> Result<()> {
        let image = self.image(&registry.host(), name, "amd64")?;
        registry.serve(name, &image.folder, fault)
    }

    /// Changes the layer of an image where the open distribution keeps it.
    fn stored(&self, image: &Written, change: impl Fn(&[u8]) -> Vec<u8>) -> Result<()> {
        let read = |digest: &str| -> Result<serde_json::Value> {
            let path = image.folder.join("blobs").join(digest.replace(':', "/"));
            let bytes = fs::read(path).context("read a manifest")?;
            serde_json::from_slice(&bytes).context("read a manifest")
        };
        let layer = read(&image.digest)?["layers"][0]["digest"].clone();
        let hex = layer.as_str().unwrap_or_default().replace("sha256:", "");
        let stored = format!("storage/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        let path = self.open.folder().join(stored);
        let bytes = fs::read(&path).context(format!("read {}", path.display()))?;
        fs::write(&path, change(&bytes)).context("damage a blob")
    }

    /// A password that ended an hour ago.
    #[allow(
        clippy::disallowed_methods,
        reason = "kubelet and registry go by this clock as well"
    )]
    pub(crate) fn expired_password(&self) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |passed| passed.as_secs());
        expiring_password(now - 3600)
    }

    /// Writes what a platform engineer writes on the node. The authority of
    /// `unknown_ca` is what was forgotten.
    ///
    /// Each host has its file: without one containerd neither verifies a
    /// certificate on the loopback nor insists on https.
    pub(crate) fn tell(&self, node: &Node) -> Result<()> {
        for host in self.plain_hosts() {
            node.write_hosts_toml(&host, &format!("server = \"http://{host}\"\n"))?;
        }
        let host = self.wrong_name.host();
        let ca = self.ca(&self.wrong_name);
        let text = format!("server = \"https://{host}\"\nca = \"{}\"\n", ca.display());
        node.write_hosts_toml(&host, &text)?;
        for host in [self.unknown_ca.host(), self.plain_by_https(), self.silent()] {
            node.write_hosts_toml(&host, &format!("server = \"https://{host}\"\n"))?;
        }
        let mirror = format!(
            "server = \"http://{upstream}\"\n[host.\"http://{}/v2/{}\"]\n  \
             capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
            self.mirror.host(),
            self.upstream.replace(':', "_"),
            upstream = self.upstream,
        );
        node.write_hosts_toml(&self.upstream, &mirror)
    }

    fn plain_hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.open.host(), self.login.host(), self.refused.clone()];
        hosts.extend([&self.bearer, &self.expiring, &self.flaws].map(Faulty::host));
        hosts.push(self.tls_by_http());
        hosts
    }

    fn ca(&self, registry: &Registry) -> PathBuf {
        registry
            .authority()
            .map(|authority| authority.certificate())
            .unwrap_or_default()
    }

    /// The same for syncd.
    fn config(&self) -> String {
        let mut text =
            "apiVersion: syncd.dev/v1alpha1\nkind: Config\nstateDir: state\nregistries:\n".to_owned();
        let mut hosts = self.plain_hosts();
        hosts.extend([self.mirror.host(), self.upstream.clone()]);
        for host in hosts {
            text += &format!("  - {{host: \"{host}\", plainHttp: true}}\n");
        }
        let ca = self.ca(&self.wrong_name);
        text += &format!(
            "  - {{host: \"{}\", caFile: \"{}\"}}\n",
            self.wrong_name.host(),
            shown(&ca)
        );
        text += &format!(
            "mirror:\n  destination: \"{}\"\n  images: [\"{}/team/app:1\"]\n",
            self.mirror.host(),
            self.upstream
        );
        text
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
