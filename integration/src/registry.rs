//! A real registry: distribution.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::certs::{Authority, Identity};
use crate::error::{Context, Result};
use crate::http::listens;
use crate::process::{Server, free_port, run};
use crate::tools::Tools;

/// How a registry is to be started.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Serve TLS with a certificate of an authority of its own.
    pub tls: bool,
    /// The only name in that certificate; without, the names of the loopback.
    pub certificate_name: Option<&'static str>,
    /// User and password to ask for; without, everybody may read and write.
    pub login: Option<(String, String)>,
    /// Log each request (for counting them).
    pub access_log: bool,
}

/// A running distribution, with its storage in a folder of its own.
pub struct Registry {
    server: Server,
    port: u16,
    folder: TempDir,
    options: RegistryOptions,
    authority: Option<Authority>,
}

impl Registry {
    /// Starts a registry and waits until it answers.
    pub async fn start(options: RegistryOptions) -> Result<Self> {
        let folder = TempDir::with_prefix("syncd-registry-").context("make a folder")?;
        let port = free_port()?;
        let mut authority = None;
        let mut identity = None;
        if options.tls {
            let made = Authority::new(folder.path())?;
            let own = options.certificate_name;
            let names = own.map_or_else(|| vec!["127.0.0.1", "localhost"], |name| vec![name]);
            identity = Some(made.server("registry", &names)?);
            authority = Some(made);
        }
        let config = config(folder.path(), port, &options, identity.as_ref())?;
        let file = folder.path().join("config.yml");
        fs::write(&file, config).context("write the config of distribution")?;

        let mut command = Command::new(Tools::path("registry")?);
        command
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none");
        let mut server = Server::start("distribution", command, &folder.path().join("log"))?;
        let host = format!("127.0.0.1:{port}");
        server
            .wait_ready(Duration::from_secs(20), async || listens(&host).await)
            .await?;
        Ok(Self {
            server,
            port,
            folder,
            options,
            authority,
        })
    }

    /// Host and port, as written in an image reference.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Scheme, host and port.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// An image reference at this registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The authority that signed its certificate.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// What it wrote so far, request lines with `access_log`.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Ends it: its port refuses from now on.
    pub fn stop(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// The folder it keeps everything in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A `crane` command that trusts and may use this registry.
    pub fn crane(&self, arguments: &[&str]) -> Result<Command> {
        let login = self.options.login.as_ref();
        let ca = self.authority.as_ref().map(Authority::certificate);
        crane(
            self.folder.path(),
            &self.host(),
            login.map(|(user, password)| (user.as_str(), password.as_str())),
            ca.as_deref(),
            arguments,
        )
    }
}

/// A `crane` command with a login for one host, kept in `folder`.
pub fn crane(
    folder: &Path,
    host: &str,
    login: Option<(&str, &str)>,
    ca: Option<&Path>,
    arguments: &[&str],
) -> Result<Command> {
    use base64::Engine;

    let home = TempDir::with_prefix_in("crane-", folder)
        .context("make a folder")?
        .keep();
    let auths = match login {
        Some((user, password)) => {
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            serde_json::json!({ "auths": { host: { "auth": basic } } })
        }
        None => serde_json::json!({ "auths": {} }),
    };
    fs::write(home.join("config.json"), auths.to_string()).context("write a docker config")?;
    let mut command = Command::new(Tools::path("crane")?);
    command
        .args(arguments)
        .env("DOCKER_CONFIG", &home)
        .env("HOME", &home);
    if let Some(ca) = ca {
        command.env("SSL_CERT_FILE", ca);
    }
    Ok(command)
}

/// A bcrypt password file, as `htpasswd -B` writes it.
pub fn htpasswd(path: &Path, user: &str, password: &str) -> Result<()> {
    let line = run(Command::new(Tools::system("htpasswd")?).args(["-nbB", "-C", "5", user, password]))?;
    fs::write(path, line).context(format!("write {}", path.display()))
}

fn config(
    folder: &Path,
    port: u16,
    options: &RegistryOptions,
    identity: Option<&Identity>,
) -> Result<String> {
    let mut config = serde_json::json!({
        "version": "0.1",
        "log": {
            "level": "warn",
            "accesslog": { "disabled": !options.access_log },
        },
        "storage": {
            "filesystem": { "rootdirectory": folder.join("storage") },
            "delete": { "enabled": true },
        },
        "http": { "addr": format!("127.0.0.1:{port}") },
    });
    if let Some(identity) = identity {
        config["http"]["tls"] = serde_json::json!({ "certificate": identity.cert, "key": identity.key });
    }
    if let Some((user, password)) = &options.login {
        let file = folder.join("htpasswd");
        htpasswd(&file, user, password)?;
        config["auth"] = serde_json::json!({ "htpasswd": { "realm": "test", "path": file } });
    }
    // JSON is YAML.
    Ok(config.to_string())
}
