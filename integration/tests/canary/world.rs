//! The registries, the config with a password for each, and the search.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use syncd_integration::error::Context;
use syncd_integration::faulty::{Options, expiring_password};
use syncd_integration::image::{Image, write_layout};
use syncd_integration::process::outcome;
use syncd_integration::registry::htpasswd;
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::syncd::Setup;
use syncd_integration::{Fault, Faulty, Login, Result};

pub(crate) const USER: &str = "puller";

pub(crate) const CONFIG: &str = r#"
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
registries:
  - {host: "GOOD", plainHttp: true, basic: {username: puller, passwordFile: good}, probe: "team/app:1"}
  - {host: "ECHO", plainHttp: true, basic: {username: puller, passwordFile: echo}, probe: "team/app:1"}
  - {host: "TOKENS", plainHttp: true, basic: {username: puller, passwordFile: tokens}, probe: "team/app:1"}
  - {host: "WRONG", plainHttp: true, basic: {username: puller, passwordFile: wrong}, probe: "team/app:1"}
credentials:
  maxAge: 6h
  targets:
    - kubernetes: {secret: syncd-pull, namespaces: {names: ["team-*"]}}
      registries: ["*"]
    - file: {path: docker.json}
      registries: ["GOOD"]
    - file: {path: broken.json}
      registries: ["GOOD"]
mirror:
  destination: embedded
  images: ["GOOD/team/app:1", "ECHO/team/app:1", "TOKENS/team/app:1", "WRONG/team/app:1"]
registry:
  listen: {registry}
  auth: {htpasswdFile: users, anonymousPull: none}
"#;

/// The registries, and all the secrets by what they are.
pub(crate) struct World {
    pub(crate) good: Faulty,
    pub(crate) echo: Faulty,
    pub(crate) tokens: Faulty,
    pub(crate) wrong: Faulty,
    pub(crate) secrets: BTreeMap<&'static str, String>,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let mut secrets: BTreeMap<&'static str, String> = [
            "good",
            "echo",
            "tokens",
            "wrong",
            "right",
            "users",
            "two-lines",
            "file",
            "malformed",
            "taken",
        ]
        .into_iter()
        .map(|name| (name, unique(name)))
        .collect();
        secrets.insert("expired", expiring_password(1_000_000_000));
        let of = |name: &str| (USER.to_owned(), secrets[name].clone());
        let start = |login| {
            Faulty::start(Options {
                login,
                ..Default::default()
            })
        };
        let (user, password) = of("good");
        let good = start(Login::Bearer(user, password)).await?;
        let (user, password) = of("echo");
        let echo = start(Login::Basic(user, password)).await?;
        let (user, password) = of("tokens");
        let tokens = start(Login::Bearer(user, password)).await?;
        let (user, password) = of("right");
        let wrong = start(Login::Basic(user, password)).await?;
        Ok(Self {
            good,
            echo,
            tokens,
            wrong,
            secrets,
        })
    }

    /// A config with a password for each registry.
    pub(crate) fn setup(&self) -> Result<Setup> {
        let text = CONFIG
            .replace("GOOD", &self.good.host())
            .replace("ECHO", &self.echo.host())
            .replace("TOKENS", &self.tokens.host())
            .replace("WRONG", &self.wrong.host());
        let setup = Setup::with_config(&text)?;
        let folder = setup.folder();
        let layout = folder.join("layout");
        write_layout(&layout, "1", &[Image::of_random(7, 50_000)])?;
        for (registry, fault) in [
            (&self.good, Fault::None),
            (&self.echo, Fault::Echo),
            (&self.tokens, Fault::EchoToken),
            (&self.wrong, Fault::None),
        ] {
            registry.serve("team/app", &layout, fault)?;
        }
        for name in ["good", "echo", "tokens", "wrong"] {
            write(&folder.join(name), &self.secrets[name])?;
        }
        htpasswd(&folder.join("users"), "reader", &self.secrets["users"])?;
        // Not a docker config, in a way that a parser's error would show.
        let broken = json!({ "auths": { "reg.example": { "auth": [self.secrets["file"]] } } });
        write(&folder.join("broken.json"), &broken.to_string())?;
        Ok(setup)
    }

    /// Everything that must not be seen, with the tokens that were given out meanwhile.
    fn canaries(&self) -> Vec<String> {
        let mut all: Vec<String> = self.secrets.values().cloned().collect();
        all.extend(self.good.tokens());
        all
    }

    pub(crate) fn search(&self, what: &str, text: &str) -> Result<()> {
        let canaries = self.canaries();
        let canaries: Vec<&str> = canaries.iter().map(String::as_str).collect();
        assert_none(what, text, &canaries).context(format!("search {what}:\n{}", end(text)))
    }

    /// Runs a command with all that it can say, and searches that.
    pub(crate) fn say(&self, setup: &Setup, arguments: &[&str]) -> Result<String> {
        let mut command = setup.command(arguments)?;
        let (_, text) = outcome(command.arg("-vv"))?;
        self.search(&format!("what `syncd {}` says", arguments.join(" ")), &text)?;
        Ok(text)
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("hide a file")
}

pub(crate) fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(4000);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}
