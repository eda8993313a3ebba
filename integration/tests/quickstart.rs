//! The first thing a user runs, as a user runs it.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use syncd_integration::error::Context;
use syncd_integration::http::get;
use syncd_integration::process::{free_port, outcome, run, wait_for};
use syncd_integration::syncd::{Setup, Syncd};
use syncd_integration::tools::repository;
use syncd_integration::{Result, Tools};

const PASSWORD: &str = "mirror-demo-password";
const LOGIN: Option<(&str, &str)> = Some(("demo", PASSWORD));
/// Both names of the sample image, as they stand in the registry.
const NAMES: [&str; 2] = ["docker.io/library/hello:1", "hello:1"];

async fn quickstart() -> Result<Syncd> {
    let syncd = Setup::quickstart()?.start().await?;
    for name in NAMES {
        syncd.wait_image(name, LOGIN).await?;
    }
    Ok(syncd)
}

fn sample_digest() -> Result<String> {
    let index = fs::read(repository().join("config/examples/hello/index.json")).context("read the sample")?;
    let index: Value = serde_json::from_slice(&index).context("read the sample's index")?;
    Ok(index["manifests"][0]["digest"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Standard output, which is to be one JSON document.
fn json(output: &Output) -> Result<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_slice(&output.stdout).context(format!("read as JSON: {text}"))
}

#[tokio::test]
async fn crane_and_skopeo_pull_both_names_with_the_password_only() -> Result<()> {
    let syncd = quickstart().await?;
    let setup = &syncd.setup;
    for name in NAMES {
        let image = format!("{}/{name}", setup.registry);
        let digest = run(&mut setup.crane(LOGIN, &["digest", &image])?)?;
        assert_eq!(digest.trim(), sample_digest()?, "{name} byte for byte");
        let folder = setup.folder().join(name.replace(['/', ':'], "-"));
        let folder = folder.to_string_lossy();
        run(&mut setup.crane(LOGIN, &["pull", "--format=oci", &image, &folder])?)?;

        let (output, text) = outcome(&mut setup.crane(None, &["digest", &image])?)?;
        assert!(!output.status.success() && text.contains("401"), "{text}");
        let wrong = Some(("demo", "wrong-password"));
        let (output, text) = outcome(&mut setup.crane(wrong, &["digest", &image])?)?;
        assert!(!output.status.success() && text.contains("401"), "{text}");

        let skopeo = |login: &[&str], to: &str| -> Result<(Output, String)> {
            let mut command = Command::new(Tools::system("skopeo")?);
            command
                .args(["copy", "--all", "--src-tls-verify=false"])
                .args(login);
            command.arg(format!("docker://{image}")).arg(format!("oci:{to}"));
            outcome(&mut command)
        };
        let (output, text) = skopeo(
            &["--src-creds", "demo:mirror-demo-password"],
            &format!("{folder}-a:x"),
        )?;
        assert!(output.status.success(), "{text}");
        let (output, text) = skopeo(&["--src-no-creds"], &format!("{folder}-b:x"))?;
        assert!(!output.status.success(), "{text}");
    }
    Ok(())
}

/// The password that was proven, as the README's clients use it: they know nothing else of it.
#[tokio::test]
async fn crane_and_skopeo_pull_with_the_file_that_syncd_writes() -> Result<()> {
    let syncd = quickstart().await?;
    let setup = &syncd.setup;
    metric(
        setup,
        &format!("syncd_credential_proven{{registry=\"{}\"}} 1", setup.registry),
    )
    .await?;
    let docker = setup.folder().join("state/docker");
    let image = format!("{}/hello:1", setup.registry);
    let mut crane = setup.crane(None, &["manifest", &image])?;
    let manifest = run(crane.env("DOCKER_CONFIG", &docker))?;
    assert!(manifest.contains("\"manifests\""), "{manifest}");

    let pull = |authfile: &std::path::Path, to: &str| -> Result<(Output, String)> {
        let mut command = Command::new(Tools::system("skopeo")?);
        command
            .args(["copy", "--all", "--src-tls-verify=false", "--authfile"])
            .arg(authfile);
        command.arg(format!("docker://{image}")).arg(format!("oci:{to}"));
        outcome(&mut command)
    };
    let to = setup.folder().join("pulled").to_string_lossy().into_owned();
    let (output, text) = pull(&docker.join("config.json"), &format!("{to}:x"))?;
    assert!(output.status.success(), "{text}");
    let empty = setup.folder().join("empty.json");
    fs::write(&empty, "{\"auths\":{}}").unwrap();
    let (output, text) = pull(&empty, &format!("{to}-2:x"))?;
    assert!(!output.status.success(), "the file is what opens it: {text}");

    let (output, text) = setup.run(&["get", "credentials"])?;
    assert_eq!(code(&output), Some(0), "{text}");
    assert!(text.contains("yes"), "{text}");
    assert!(!text.contains(PASSWORD) && !syncd.server.log().contains(PASSWORD));
    Ok(())
}

#[tokio::test]
async fn commands_beside_the_daemon_say_how_it_is() -> Result<()> {
    let syncd = quickstart().await?;
    let setup = &syncd.setup;

    let (output, text) = setup.run(&["get", "mirror"])?;
    assert_eq!(code(&output), Some(0), "{text}");
    assert!(text.contains("hello:1"), "{text}");
    let (output, text) = setup.run(&["get", "tasks", "-o", "json"])?;
    assert_eq!(code(&output), Some(0), "{text}");
    json(&output)?;

    // Asks the daemon, which holds the store.
    let (output, text) = setup.run(&["sync", "mirror", "-o", "json"])?;
    assert_eq!(code(&output), Some(0), "{text}");
    let report = json(&output)?;
    assert_eq!(report["totals"]["images"], 2, "{report}");
    assert_eq!(report["totals"]["present"], 2, "{report}");
    assert_eq!(report["totals"]["failed"], 0, "{report}");
    assert_eq!(report["images"][0]["digest"], sample_digest()?, "{report}");

    let reply = get(&setup.status, "/api/v1/report").await?;
    assert_eq!(reply.status, 200, "{}", reply.head);
    assert!(reply.body.contains(&sample_digest()?), "{}", reply.body);
    for path in ["/livez", "/readyz?verbose", "/metrics"] {
        assert_eq!(get(&setup.status, path).await?.status, 200, "{path}");
    }
    let log = syncd.server.log();
    assert!(!log.contains(PASSWORD), "the password is in the log");
    assert!(log.contains("docker config file written"), "no audit line: {log}");
    Ok(())
}

#[tokio::test]
async fn diagnose_tells_the_cause_and_its_exit_code() -> Result<()> {
    let syncd = quickstart().await?;
    let setup = &syncd.setup;
    let registry = &setup.registry;
    let dead = format!("127.0.0.1:{}", free_port()?);
    for (image, exit, cause) in [
        (format!("{registry}/hello:1"), 0, "none"),
        (format!("{registry}/hello:2"), 1, "tag_not_found"),
        (format!("{registry}/helo:1"), 1, "repo_not_found"),
        (format!("{dead}/hello:1"), 1, "connection_refused"),
    ] {
        let (output, text) = setup.run(&["diagnose", &image, "-o", "json"])?;
        assert_eq!(code(&output), Some(exit), "{image}: {text}");
        let report = json(&output)?;
        assert_eq!(report["verdict"]["cause"], cause, "{image}: {report}");
        assert!(!text.contains(PASSWORD), "{text}");

        let (output, text) = setup.run(&["diagnose", &image])?;
        assert_eq!(code(&output), Some(exit), "{image}: {text}");
        assert!(exit == 0 || text.contains(cause), "{image}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_it_well_within_ten_seconds() -> Result<()> {
    let mut syncd = quickstart().await?;
    let status = syncd.server.terminate(Duration::from_secs(10)).await?;
    assert_eq!(status.code(), Some(0), "{}", syncd.server.log_tail());
    Ok(())
}

#[tokio::test]
async fn a_second_daemon_finds_all_of_it_again() -> Result<()> {
    let mut syncd = quickstart().await?;
    syncd.server.terminate(Duration::from_secs(10)).await?;
    let syncd = syncd.setup.start().await?;
    let image = format!("{}/hello:1", syncd.setup.registry);
    let digest = run(&mut syncd.setup.crane(LOGIN, &["digest", &image])?)?;
    assert_eq!(digest.trim(), sample_digest()?);
    Ok(())
}

fn signal(pid: u32, name: &str) -> Result<()> {
    run(Command::new(Tools::system("kill")?).args(["-s", name, &pid.to_string()])).map(drop)
}

async fn metric(setup: &Setup, line: &str) -> Result<()> {
    wait_for(
        line,
        Duration::from_secs(30),
        async || {
            let reply = get(&setup.status, "/metrics").await?;
            Ok(reply.body.lines().any(|found| found == line).then_some(()))
        },
        async || {
            get(&setup.status, "/metrics")
                .await
                .map(|reply| reply.body)
                .unwrap_or_default()
        },
    )
    .await
}

#[tokio::test]
async fn a_changed_config_counts_and_a_bad_one_does_not() -> Result<()> {
    let syncd = quickstart().await?;
    let setup = &syncd.setup;
    let good = fs::read_to_string(setup.config()).unwrap();
    let more = "  images:\n    - source: ociLayout:./hello\n      as: team/more:1\n";
    let changed = good.replace("  images:\n", more);
    assert_ne!(changed, good);
    fs::write(setup.config(), changed).unwrap();
    signal(syncd.server.pid(), "HUP")?;
    syncd.wait_image("team/more:1", LOGIN).await?;
    metric(setup, "syncd_config_last_reload_successful 1").await?;

    fs::write(setup.config(), good.replace("mirror:", "miror:")).unwrap();
    signal(syncd.server.pid(), "HUP")?;
    metric(setup, "syncd_config_last_reload_successful 0").await?;
    let image = format!("{}/team/more:1", setup.registry);
    let digest = run(&mut setup.crane(LOGIN, &["digest", &image])?)?;
    assert_eq!(
        digest.trim(),
        sample_digest()?,
        "the old configuration is still served"
    );
    let (output, text) = setup.run(&["config", "check"])?;
    assert_eq!(code(&output), Some(2), "{text}");
    assert!(text.contains("mirror"), "the check says what was meant: {text}");
    Ok(())
}
