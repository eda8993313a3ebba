//! A registry that wants a password, a cluster whose namespaces want it, and syncd between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use syncd_integration::error::Context;
use syncd_integration::http::get;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::process::{outcome, run, wait_for};
use syncd_integration::registry::htpasswd;
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::tools::repository;
use syncd_integration::{Apiserver, Registry, RegistryOptions, Result, Setup, Syncd, Tools};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "syncd-pull";
pub(crate) const USER: &str = "robot";
pub(crate) const PRIVATE: &str = "pull.example.com/private";

/// Anything that syncd does on its own within its 10 s of looking at files.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Registry and cluster.
pub(crate) struct Stage {
    pub(crate) apiserver: Apiserver,
    pub(crate) registry: Registry,
    /// Of syncd's account, which has the rights that are shipped for clusters and no other.
    kubeconfig: PathBuf,
    password: String,
    /// All passwords there ever were, to be looked for in every output.
    passwords: Vec<String>,
    /// What commands said, for the same.
    said: Vec<(String, String)>,
    _image: TempDir,
}

impl Stage {
    /// With `team/app:1` in the registry, and these namespaces besides syncd's own.
    pub(crate) async fn with(namespaces: &[&str]) -> Result<Self> {
        let password = unique("first");
        let registry = Registry::start(RegistryOptions {
            login: Some((USER.to_owned(), password.clone())),
            access_log: true,
            ..RegistryOptions::default()
        })
        .await?;
        let image = TempDir::new().context("make a folder")?;
        let layout = image.path().join("layout");
        let app = Image::of_program(&Tools::path("pause")?)?.unique("credentials");
        write_layout(&layout, "1", &[app])?;
        let pushed = registry.image("team/app:1");
        run(&mut registry.crane(&["push", &layout.to_string_lossy(), &pushed])?)?;

        let apiserver = Apiserver::start().await?;
        let stage = Self {
            kubeconfig: shipped_rights(&apiserver).await?,
            apiserver,
            registry,
            passwords: vec![password.clone()],
            password,
            said: Vec::new(),
            _image: image,
        };
        for name in namespaces {
            stage.make_namespace(name, &[]).await;
        }
        Ok(stage)
    }

    /// What the registry takes.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The registry takes only this password from now on.
    pub(crate) fn registry_takes(&mut self, password: &str) -> Result<()> {
        self.know(password);
        password.clone_into(&mut self.password);
        htpasswd(&self.registry.folder().join("htpasswd"), USER, password)
    }

    /// A password that no output may hold either.
    pub(crate) fn know(&mut self, password: &str) {
        self.passwords.push(password.to_owned());
    }

    /// A config with one target: `selector` is the value of `namespaces`.
    pub(crate) fn setup(&self, selector: &str) -> Result<Setup> {
        let setup = Setup::with_config(&self.config(selector))?
            .env("KUBECONFIG", &self.kubeconfig)
            .env("POD_NAMESPACE", "syncd");
        write_password(&setup, self.password());
        Ok(setup)
    }

    /// The same without the lines that `Setup` fills in.
    pub(crate) fn config(&self, selector: &str) -> String {
        format!(
            "apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {{status}}
registries:
  - name: app
    host: {host}
    plainHttp: true
    basic: {{username: {USER}, passwordFile: password}}
    probe: team/app:1
credentials:
  targets:
    - kubernetes: {{secret: {SECRET}, namespaces: {selector}}}
      registries: [app]
",
            host = self.registry.host()
        )
    }

    pub(crate) async fn make_namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let wanted = json!({"metadata": {"name": name, "labels": labels}});
        let wanted = serde_json::from_value(wanted).unwrap();
        let all: Api<Namespace> = Api::all(self.apiserver.client.clone());
        all.create(&PostParams::default(), &wanted).await.unwrap();
    }

    pub(crate) async fn label(&self, namespace: &str, labels: Value) {
        let all: Api<Namespace> = Api::all(self.apiserver.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        all.patch(namespace, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.apiserver.client.clone(), namespace)
    }

    pub(crate) async fn secret(&self, namespace: &str) -> Option<Secret> {
        self.secrets(namespace).get_opt(SECRET).await.unwrap()
    }

    /// Waits until the secret of a namespace holds this password.
    pub(crate) async fn wait_password(
        &self,
        syncd: &Syncd,
        namespace: &str,
        password: &str,
        within: Duration,
    ) -> Result<Secret> {
        let wanted = content(&self.registry.host(), password);
        wait_for(
            &format!("the password in {namespace}"),
            within,
            async || {
                let secret = self.secret(namespace).await;
                Ok(secret.filter(|secret| bytes(secret) == wanted.as_bytes()))
            },
            async || course(syncd),
        )
        .await
    }

    /// Every secret of the name, by namespace.
    pub(crate) async fn all(&self) -> BTreeMap<String, Secret> {
        let all: Api<Secret> = Api::all(self.apiserver.client.clone());
        let named = ListParams::default().fields(&format!("metadata.name={SECRET}"));
        let found = all.list(&named).await.unwrap().items.into_iter();
        found
            .map(|secret| (secret.metadata.namespace.clone().unwrap(), secret))
            .collect()
    }

    /// Which version each secret of the name has: the same again means that nobody wrote.
    pub(crate) async fn versions(&self) -> BTreeMap<String, String> {
        let all = self.all().await.into_iter();
        all.map(|(namespace, secret)| (namespace, version(&secret)))
            .collect()
    }

    /// How many requests the registry has answered.
    pub(crate) fn requests(&self) -> usize {
        self.registry.log().matches("/v2/").count()
    }

    /// Runs a command with `-o json`; its exit code and its document.
    pub(crate) fn json(&mut self, setup: &Setup, arguments: &[&str]) -> Result<(i32, Value)> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let (output, text) = outcome(&mut setup.command(&all)?)?;
        self.said.push((format!("syncd {}", all.join(" ")), text.clone()));
        let document = serde_json::from_slice(&output.stdout);
        let document = document.context(format!("read the output of syncd {}:\n{text}", all.join(" ")))?;
        Ok((output.status.code().unwrap_or(-1), document))
    }

    /// Waits until `get credentials` shows what `wanted` looks for.
    pub(crate) async fn wait_report<T>(
        &mut self,
        syncd: &Syncd,
        what: &str,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        wait_for(
            what,
            SOON,
            async || {
                let mut command = syncd.setup.command(&["get", "credentials", "-o", "json"])?;
                let (output, text) = outcome(&mut command)?;
                self.said.push(("syncd get credentials".to_owned(), text));
                // Before the first pass has ended there is none.
                let report = serde_json::from_slice(&output.stdout).ok();
                Ok(report.as_ref().and_then(&wanted))
            },
            async || course(syncd),
        )
        .await
    }

    /// Runs a command for a person; its exit code and all it wrote.
    pub(crate) fn text(&mut self, setup: &Setup, arguments: &[&str]) -> Result<(i32, String)> {
        let (output, text) = outcome(&mut setup.command(arguments)?)?;
        self.said
            .push((format!("syncd {}", arguments.join(" ")), text.clone()));
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// No password is in anything that syncd wrote for anybody to read: its log at TRACE, its pages,
    /// what its commands said, events, config maps and the metadata of secrets.
    pub(crate) async fn assert_told_no_password(&self, syncd: &Syncd) -> Result<()> {
        let log = syncd.server.log();
        assert!(log.contains("TRACE"), "the log is not at TRACE");
        let mut texts = self.said.clone();
        texts.push(("the log".to_owned(), log));
        for page in ["/", "/api/v1/report", "/metrics", "/readyz?verbose"] {
            let reply = get(&syncd.setup.status, page).await?;
            assert_eq!(reply.status, 200, "{page}");
            texts.push((page.to_owned(), reply.body));
        }
        for kinds in ["events", "events.events.k8s.io", "configmaps", "namespaces"] {
            let mut list = self.apiserver.kubectl(&["get", kinds, "-A", "-o", "yaml"])?;
            texts.push((kinds.to_owned(), run(&mut list)?));
        }
        for (namespace, secret) in self.all().await {
            let metadata = serde_json::to_string(&secret.metadata).unwrap();
            texts.push((format!("the metadata of {namespace}/{SECRET}"), metadata));
        }
        let passwords = self.passwords.iter().map(String::as_str).collect::<Vec<_>>();
        for (what, text) in &texts {
            assert_none(what, text, &passwords)?;
        }
        Ok(())
    }
}

/// Applies the overlay `cluster`; a kubeconfig of its account, once its rights are in force.
async fn shipped_rights(apiserver: &Apiserver) -> Result<PathBuf> {
    let overlay = repository().join("deploy/kustomize/overlays/cluster");
    run(&mut apiserver.kubectl(&["apply", "-k", &overlay.to_string_lossy()])?)?;
    let kubeconfig = apiserver.kubeconfig_of_account("syncd", "syncd").await?;
    let account = apiserver.client_of(&kubeconfig).await?;
    let namespaces: Api<Namespace> = Api::all(account);
    wait_for(
        "the rights of syncd's account",
        SOON,
        async || Ok(namespaces.list(&ListParams::default()).await.ok()),
        async || apiserver.log_tail(),
    )
    .await?;
    Ok(kubeconfig)
}

/// The end of what syncd itself logged, without its libraries.
pub(crate) fn course(syncd: &Syncd) -> String {
    let log = syncd.server.log();
    let own = |line: &&str| {
        let libraries = ["\"TRACE\"", "hyper_util", "kube_client", "tower::", "rustls"];
        !libraries.iter().any(|word| line.contains(word))
    };
    let lines = log.lines().filter(own).collect::<Vec<_>>();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

pub(crate) fn write_password(setup: &Setup, password: &str) {
    fs::write(setup.folder().join("password"), format!("{password}\n")).unwrap();
}

/// Replaces the config of a running syncd, but for the lines that `Setup` filled in.
pub(crate) fn rewrite(setup: &Setup, from: &str, to: &str) {
    let text = fs::read_to_string(setup.config()).unwrap();
    assert!(text.contains(from), "{text}");
    let beside = setup.folder().join("config.new");
    fs::write(&beside, text.replace(from, to)).unwrap();
    fs::rename(beside, setup.config()).unwrap();
}

/// The docker config that kubelet needs for one registry.
pub(crate) fn content(host: &str, password: &str) -> String {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let entry = json!({"auth": auth, "password": password, "username": USER});
    json!({"auths": {host: entry}}).to_string()
}

pub(crate) fn bytes(secret: &Secret) -> &[u8] {
    let data = secret.data.as_ref();
    data.and_then(|data| data.get(".dockerconfigjson"))
        .map_or(&[], |bytes| &bytes.0)
}

pub(crate) fn version(secret: &Secret) -> String {
    secret.metadata.resource_version.clone().unwrap()
}

pub(crate) fn uid(secret: &Secret) -> String {
    secret.metadata.uid.clone().unwrap()
}

pub(crate) fn annotation<'a>(secret: &'a Secret, name: &str) -> Option<&'a str> {
    let annotations = secret.metadata.annotations.as_ref()?;
    annotations.get(name).map(String::as_str)
}

/// A docker config as a file, for a client that is not ours.
pub(crate) fn docker_config(folder: &Path, secret: &Secret) -> PathBuf {
    fs::write(folder.join("config.json"), bytes(secret)).unwrap();
    folder.to_owned()
}

/// The rows of a report about one namespace.
pub(crate) fn row<'a>(report: &'a Value, namespace: &str) -> &'a Value {
    let rows = report["targets"].as_array().unwrap();
    let found = rows.iter().find(|row| row["namespace"] == namespace);
    found.unwrap_or_else(|| panic!("nothing about {namespace} in {report:#}"))
}
