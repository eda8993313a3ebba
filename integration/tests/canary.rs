//! No secret in any output: every secret of this test is unique, every command runs with all that
//! tracing can say, and what comes out is searched for each of them in every form.
//!
//! The registries are unkind: they refuse, and repeat the credential in headers, challenges and
//! bodies. Docker configs are malformed, passwords are wrong, past their time, and of two lines.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use syncd_integration::error::Context;
use syncd_integration::faulty::{Options, expiring_password};
use syncd_integration::http::get;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::process::{outcome, wait_for};
use syncd_integration::registry::htpasswd;
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::syncd::{Setup, Syncd};
use syncd_integration::{Apiserver, Fault, Faulty, Login, Result};

const USER: &str = "puller";
const NAMESPACES: [&str; 3] = ["team-a", "team-b", "team-taken"];

const CONFIG: &str = r#"
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
struct World {
    good: Faulty,
    echo: Faulty,
    tokens: Faulty,
    wrong: Faulty,
    secrets: BTreeMap<&'static str, String>,
}

impl World {
    async fn start() -> Result<Self> {
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
    fn setup(&self) -> Result<Setup> {
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

    fn search(&self, what: &str, text: &str) -> Result<()> {
        let canaries = self.canaries();
        let canaries: Vec<&str> = canaries.iter().map(String::as_str).collect();
        assert_none(what, text, &canaries).context(format!("search {what}:\n{}", end(text)))
    }

    /// Runs a command with all that it can say, and searches that.
    fn say(&self, setup: &Setup, arguments: &[&str]) -> Result<String> {
        let mut command = setup.command(arguments)?;
        let (_, text) = outcome(command.arg("-vv"))?;
        self.search(&format!("what `syncd {}` says", arguments.join(" ")), &text)?;
        Ok(text)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("hide a file")
}

fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(4000);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

/// A pull secret, or what somebody took for one.
async fn secret(client: &Client, namespace: &str, name: &str, content: Value) -> Result<()> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": name },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": content.to_string() },
    }))
    .context("write a secret")?;
    Api::<Secret>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &secret)
        .await
        .context("make a secret")
        .map(drop)
}

fn docker_config(host: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    json!({ "auths": { host: { "auth": auth, "username": USER, "password": password } } })
}

/// A pod as kubelet leaves it after a failed pull.
async fn pod(client: &Client, name: &str, image: &str, secrets: &[&str], words: &str) -> Result<()> {
    let named: Vec<Value> = secrets.iter().map(|name| json!({ "name": name })).collect();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "nodeName": "nowhere",
            "imagePullSecrets": named,
            "containers": [{ "name": "main", "image": image }],
        },
    }))
    .context("write a pod")?;
    let status = json!({ "status": { "phase": "Pending", "containerStatuses": [{
        "name": "main", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "ErrImagePull", "message": words } },
    }] } });
    let pods: Api<Pod> = Api::namespaced(client.clone(), "team-a");
    pods.create(&PostParams::default(), &pod)
        .await
        .context("make a pod")?;
    let patch = Patch::Merge(&status);
    pods.patch_status(name, &PatchParams::default(), &patch)
        .await
        .context("set a pod's status")
        .map(drop)
}

/// Pods whose secrets are good, wrong, past their time, echoed and malformed.
async fn pods(world: &World, client: &Client) -> Result<Vec<&'static str>> {
    let a = "team-a";
    let refused = |host: &str| {
        format!(
            "failed to resolve image: unexpected status from HEAD request to http://{host}/v2/team/app/manifests/1: 401 Unauthorized"
        )
    };
    // containerd passes on what the token server says, and this one repeats what it was sent.
    let password = &world.secrets["tokens"];
    let sent = STANDARD.encode(format!("{USER}:{password}"));
    let echoed = format!(
        "failed to resolve image: failed to authorize: failed to fetch oauth token: unexpected status from GET \
         request to http://{}/token?service=x: 401 Unauthorized\nunauthorized: {password} or Basic {sent} is wrong",
        world.tokens.host()
    );
    let kinds = [
        ("echo", &world.echo, refused(&world.echo.host())),
        ("tokens", &world.tokens, echoed),
        ("wrong", &world.wrong, refused(&world.wrong.host())),
        ("expired", &world.wrong, refused(&world.wrong.host())),
        ("good", &world.good, refused(&world.good.host())),
    ];
    let mut names = Vec::new();
    for (name, registry, words) in kinds {
        secret(
            client,
            a,
            name,
            docker_config(&registry.host(), &world.secrets[name]),
        )
        .await?;
        pod(client, name, &registry.image("team/app:1"), &[name], &words).await?;
        names.push(name);
    }
    let canary = &world.secrets["malformed"];
    for (name, content) in [
        (
            "malformed",
            json!({ "auths": { "reg.example": { "auth": canary } } }),
        ),
        ("misshapen", json!({ "auths": { "reg.example": [canary] } })),
        ("misplaced", json!({ "auths": canary })),
    ] {
        secret(client, a, name, content).await?;
        let words = "illegal base64 data at input byte 9";
        pod(client, name, &world.good.image("team/app:1"), &[name], words).await?;
        names.push(name);
    }
    Ok(names)
}

async fn namespaces(client: &Client) -> Result<()> {
    let all: Api<Namespace> = Api::all(client.clone());
    for name in NAMESPACES {
        let mut wanted = Namespace::default();
        wanted.metadata.name = Some(name.to_owned());
        all.create(&PostParams::default(), &wanted)
            .await
            .context("make a namespace")?;
    }
    Ok(())
}

/// What the daemon wrote into the cluster, without the content of secrets.
async fn written(client: &Client) -> Result<String> {
    let all = ListParams::default();
    let events = Api::<Event>::all(client.clone())
        .list(&all)
        .await
        .context("list events")?;
    let maps = Api::<ConfigMap>::all(client.clone())
        .list(&all)
        .await
        .context("list maps")?;
    let secrets: Api<Secret> = Api::all(client.clone());
    let metadata = secrets.list_metadata(&all).await.context("list metadata")?;
    let text = |list: serde_json::Result<String>| list.context("write as JSON");
    Ok([
        text(serde_json::to_string(&events.items))?,
        text(serde_json::to_string(&maps.items))?,
        text(serde_json::to_string(&metadata.items))?,
    ]
    .join("\n"))
}

/// Files below a folder that hold a secret: each must be its owner's alone. How many there are.
fn hidden_files(world: &World, folder: &Path) -> Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(folder).context(format!("read {}", folder.display()))? {
        let path = entry.context("read a folder")?.path();
        let kind = fs::symlink_metadata(&path).context("look at a file")?;
        if kind.is_dir() {
            found += hidden_files(world, &path)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path).context(format!("read {}", path.display()))?;
            let text = String::from_utf8_lossy(&bytes);
            let open = kind.permissions().mode() & 0o077 != 0;
            let holds = world.search("a file", &text).is_err();
            assert!(
                !(holds && open),
                "{} holds a secret and is open to others",
                path.display()
            );
            found += usize::from(holds);
        }
    }
    Ok(found)
}

/// What a person asks of the daemon and of the files, in each form.
fn ask(world: &World, setup: &Setup, kubeconfig: &str) -> Result<()> {
    for arguments in [
        "config show",
        "config check",
        "sync mirror -o json",
        "sync mirror --verify full",
        "sync credentials --renew -o json",
        "sync credentials --dry-run -o wide",
        "get credentials -o wide",
        "get credentials -o yaml",
        "get mirror -o wide",
        "get tasks -o json",
    ] {
        let mut words: Vec<&str> = arguments.split(' ').collect();
        if words[0] == "sync" {
            words.extend(["--kubeconfig", kubeconfig]);
        }
        let text = world.say(setup, &words)?;
        assert!(!text.trim().is_empty(), "syncd {arguments} says nothing");
    }
    Ok(())
}

/// Diagnoses of images and pods, whose credentials are the pods' own.
fn diagnose(world: &World, setup: &Setup, kubeconfig: &str, pods: &[&str]) -> Result<()> {
    for registry in [&world.good, &world.echo, &world.tokens, &world.wrong] {
        let image = registry.image("team/app:1");
        let text = world.say(setup, &["diagnose", &image, "--blobs"])?;
        assert!(text.contains(&image), "{text}");
    }
    for pod in pods {
        for form in ["text", "json"] {
            let pod = format!("pod/{pod}");
            let cluster = ["-n", "team-a", "--kubeconfig", kubeconfig];
            let mut words = vec!["diagnose", &pod, "-o", form];
            words.extend(cluster);
            let text = world.say(setup, &words)?;
            assert!(text.contains("team/app:1"), "{pod}: {text}");
        }
    }
    Ok(())
}

/// What the daemon shows on its listener, and what anybody on the machine sees of its process.
async fn shown(syncd: &Syncd) -> Result<Vec<(&'static str, String)>> {
    let mut all = Vec::new();
    for path in ["/", "/metrics", "/api/v1/report", "/readyz?verbose"] {
        let reply = get(&syncd.setup.status, path).await?;
        all.push((path, reply.head + &reply.body));
    }
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", syncd.server.pid());
        let bytes = fs::read(&path).context(format!("read {path}"))?;
        all.push((file, String::from_utf8_lossy(&bytes).into_owned()));
    }
    all.push(("the daemon's log", syncd.server.log()));
    Ok(all)
}

// Commands block this thread; the registries run on others.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_output() -> Result<()> {
    let (world, apiserver) = tokio::try_join!(World::start(), Apiserver::start())?;
    let client = &apiserver.client;
    namespaces(client).await?;
    let taken = docker_config("reg.example", &world.secrets["taken"]);
    secret(client, "team-taken", "syncd-pull", taken).await?;
    let setup = world.setup()?;
    let kubeconfig = apiserver.kubeconfig().to_string_lossy().into_owned();
    world.say(&setup, &["sync", "--dry-run", "--kubeconfig", &kubeconfig])?;

    let mut syncd = setup.start_with(&["-vv", "--kubeconfig", &kubeconfig]).await?;
    published(client, &world, &syncd).await?;
    let pods = pods(&world, client).await?;
    ask(&world, &syncd.setup, &kubeconfig)?;
    diagnose(&world, &syncd.setup, &kubeconfig, &pods)?;

    // A password of two lines cannot stand in a header; the error must not show it.
    let two = format!("{}\nsecond", world.secrets["two-lines"]);
    write(&syncd.setup.folder().join("wrong"), &two)?;
    ask(&world, &syncd.setup, &kubeconfig)?;

    for (what, text) in shown(&syncd).await? {
        world.search(what, &text)?;
    }
    world.search(
        "events, config maps and metadata of secrets",
        &written(client).await?,
    )?;
    syncd.server.terminate(Duration::from_secs(10)).await?;
    let log = syncd.server.log();
    world.search("the daemon's last words", &log)?;
    assert!(
        log.to_uppercase().contains("TRACE"),
        "the log does not say all:\n{}",
        end(&log)
    );

    assert!(
        hidden_files(&world, syncd.setup.folder())? > 5,
        "the search finds what is there"
    );
    for registry in [&world.echo, &world.tokens] {
        let refused = registry
            .asked()
            .iter()
            .filter(|line| line.ends_with(" 401"))
            .count();
        assert!(refused > 3, "{:?}", registry.asked());
    }
    Ok(())
}

/// Waits until the credentials of all registries were tried and the good one stands in a secret.
async fn published(client: &Client, world: &World, syncd: &Syncd) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "team-a");
    wait_for(
        "the secret of team-a",
        Duration::from_secs(60),
        async || {
            let found = secrets.get_opt("syncd-pull").await.context("read a secret")?;
            let data = found.and_then(|secret| secret.data?.remove(".dockerconfigjson"));
            let text = data.map(|data| String::from_utf8_lossy(&data.0).into_owned());
            Ok(text.filter(|text| text.contains(&world.good.host())).map(drop))
        },
        async || syncd.server.log_tail(),
    )
    .await
}
