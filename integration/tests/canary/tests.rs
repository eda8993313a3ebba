use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use syncd_integration::error::Context;
use syncd_integration::http::get;
use syncd_integration::syncd::{Setup, Syncd};
use syncd_integration::{Apiserver, Result};

use crate::cluster::{docker_config, namespaces, pods, published, secret, written};
use crate::world::{World, end, write};

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
