//! The program under test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Context, Result};
use crate::http::get;
use crate::process::{Server, free_port, outcome, trimmed, wait_for};
use crate::registry::crane;
use crate::tools::{Tools, repository};

/// A folder with a config, and commands that use it.
pub struct Setup {
    folder: TempDir,
    /// The status listener, `host:port`.
    pub status: String,
    /// The embedded registry's listener, `host:port`.
    pub registry: String,
    environment: Vec<(String, OsString)>,
}

impl Setup {
    /// The quickstart example, copied to a folder of its own and moved to free
    /// ports: what a user runs, beside whatever else this machine runs.
    pub fn quickstart() -> Result<Self> {
        let examples = repository().join("config/examples");
        let folder = TempDir::with_prefix("syncd-quickstart-").context("make a folder")?;
        copy_tree(&examples, folder.path())?;
        let text =
            fs::read_to_string(examples.join("quickstart.yaml")).context("read the quickstart config")?;
        let status = format!("127.0.0.1:{}", free_port()?);
        let registry = format!("127.0.0.1:{}", free_port()?);
        let text = text
            .replace("../../target/quickstart", "state")
            .replace("127.0.0.1:5050", &registry)
            .replace("127.0.0.1:8080", &status);
        let setup = Self {
            folder,
            status,
            registry,
            environment: Vec::new(),
        };
        fs::write(setup.config(), text).context("write a config")?;
        Ok(setup)
    }

    /// A config of the test's own; `{status}` and `{registry}` become the two
    /// listeners, and a state folder is added.
    pub fn with_config(text: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("syncd-").context("make a folder")?;
        let status = format!("127.0.0.1:{}", free_port()?);
        let registry = format!("127.0.0.1:{}", free_port()?);
        let text = text.replace("{registry}", &registry).replace("{status}", &status);
        let setup = Self {
            folder,
            status,
            registry,
            environment: Vec::new(),
        };
        fs::write(setup.config(), with_state_dir(&text)).context("write a config")?;
        Ok(setup)
    }

    /// Adds a variable to the environment of every command.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The folder of the config.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// A command of `syncd` with this config.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(Tools::syncd()?);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .current_dir(self.folder.path())
            .env("RUST_LOG", "trace")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// A `crane` command with this login at the embedded registry.
    pub fn crane(&self, login: Option<(&str, &str)>, arguments: &[&str]) -> Result<Command> {
        crane(self.folder(), &self.registry, login, None, arguments)
    }

    /// Runs a command to its end; its output and everything it wrote.
    pub fn run(&self, arguments: &[&str]) -> Result<(Output, String)> {
        outcome(&mut self.command(arguments)?)
    }

    /// Starts the daemon and waits until it is ready.
    pub async fn start(self) -> Result<Syncd> {
        self.start_with(&[]).await
    }

    /// The same, with more arguments for `syncd run`.
    pub async fn start_with(self, arguments: &[&str]) -> Result<Syncd> {
        let mut command = self.command(&["run"])?;
        command.args(arguments);
        let mut server = Server::start("syncd", command, &self.folder.path().join("syncd.log"))?;
        server
            .wait_ready(Duration::from_secs(60), async || {
                get(&self.status, "/readyz")
                    .await
                    .is_ok_and(|reply| reply.status == 200)
            })
            .await?;
        Ok(Syncd { server, setup: self })
    }
}

impl Syncd {
    /// Waits until the embedded registry holds an image, as `crane` sees it.
    pub async fn wait_image(&self, name: &str, login: Option<(&str, &str)>) -> Result<String> {
        let image = format!("{}/{name}", self.setup.registry);
        wait_for(
            &format!("{image} in the embedded registry"),
            Duration::from_secs(60),
            async || {
                let mut crane = self.setup.crane(login, &["digest", &image])?;
                let (output, _) = outcome(&mut crane)?;
                Ok(output.status.success().then(|| trimmed(&output.stdout)))
            },
            async || self.server.log_tail(),
        )
        .await
    }
}

/// A running daemon.
pub struct Syncd {
    /// The process.
    pub server: Server,
    /// Its config, and commands beside it.
    pub setup: Setup,
}

/// The example's `stateDir` line gives way to one below the test's folder.
fn with_state_dir(text: &str) -> String {
    let rest = text.lines().filter(|line| !line.starts_with("stateDir:"));
    let mut lines = rest.collect::<Vec<_>>();
    lines.push("stateDir: state");
    lines.join("\n") + "\n"
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).context(format!("read {}", from.display()))?;
    for entry in entries {
        let entry = entry.context(format!("read {}", from.display()))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).context(format!("make {}", target.display()))?;
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).context(format!("copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
