//! Real clients and real registries around the mirror and the embedded registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use syncd_integration::certs::Authority;
use syncd_integration::error::Context;
use syncd_integration::image::{Image, Written, write_layout};
use syncd_integration::process::{outcome, run, trimmed, wait_for};
use syncd_integration::registry::htpasswd;
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::syncd::Setup;
use syncd_integration::{Registry, RegistryOptions, Result, Tools};
use tempfile::TempDir;

const PUSH: &str = "
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
registry:
  listen: {registry}
  auth: {htpasswdFile: users, anonymousPull: none, push: [pusher]}
";

fn two_platforms(folder: &Path) -> Result<Written> {
    let amd64 = Image::of_program(&Tools::path("pause")?)?.unique("clients");
    let arm64 = Image {
        architecture: "arm64".to_owned(),
        ..amd64.clone()
    }
    .unique("arm64");
    write_layout(&folder.join("layout"), "1", &[amd64, arm64])
}

#[tokio::test]
async fn skopeo_and_crane_push_as_the_users_who_may() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let image = two_platforms(folder.path())?;
    let (pusher, reader) = (unique("pw"), unique("pw"));
    let setup = Setup::with_config(PUSH)?;
    htpasswd(&setup.folder().join("users"), "pusher", &pusher)?;
    htpasswd(&setup.folder().join("second"), "reader", &reader)?;
    let both = ["users", "second"].map(|file| fs::read_to_string(setup.folder().join(file)).unwrap());
    fs::write(setup.folder().join("users"), both.concat()).unwrap();
    let syncd = setup.start().await?;
    let setup = &syncd.setup;

    let name = |repository: &str| format!("{}/team/{repository}:1", setup.registry);
    let layout = image.folder.to_string_lossy();
    let push =
        |login, repository: &str| outcome(&mut setup.crane(login, &["push", &layout, &name(repository)])?);
    let (output, text) = push(Some(("pusher", pusher.as_str())), "crane")?;
    assert!(output.status.success(), "{text}");
    let (output, text) = push(Some(("reader", reader.as_str())), "reader")?;
    assert!(!output.status.success() && text.contains("DENIED"), "{text}");
    let (output, text) = push(None, "nobody")?;
    assert!(!output.status.success() && text.contains("401"), "{text}");

    let mut skopeo = Command::new(Tools::system("skopeo")?);
    skopeo
        .args(["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"])
        .args(["--dest-creds", &format!("pusher:{pusher}")])
        .args([format!("oci:{layout}:1"), format!("docker://{}", name("skopeo"))]);
    run(&mut skopeo)?;

    for repository in ["crane", "skopeo"] {
        let login = Some(("reader", reader.as_str()));
        let digest = run(&mut setup.crane(login, &["digest", &name(repository)])?)?;
        assert_eq!(digest.trim(), image.digest, "{repository} byte for byte");
        let pulled = folder.path().join(repository);
        let pulled = pulled.to_string_lossy();
        run(&mut setup.crane(login, &["pull", "--format=oci", &name(repository), &pulled])?)?;
    }
    assert_none("the daemon's log", &syncd.server.log(), &[&pusher, &reader])
}

const COPY: &str = "
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
registries:
  - {host: \"SOURCE\", caFile: source.crt, basic: {username: reader, passwordFile: source.pw}}
  - {host: \"TARGET\", plainHttp: true, basic: {username: writer, passwordFile: target.pw}}
mirror:
  destination: TARGET/mirror
  images: [\"SOURCE/team/app:1\", \"SOURCE/team/none:1\"]
";

#[tokio::test]
async fn sync_copies_between_registries_each_with_its_own_login() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let image = two_platforms(folder.path())?;
    let (read, write) = (unique("pw"), unique("pw"));
    let login = |user: &str, password: &String| Some((user.to_owned(), password.clone()));
    let source = Registry::start(RegistryOptions {
        tls: true,
        login: login("reader", &read),
        access_log: true,
        ..Default::default()
    });
    let source = source.await?;
    let target = RegistryOptions {
        login: login("writer", &write),
        access_log: true,
        ..Default::default()
    };
    let target = Registry::start(target).await?;
    let layout = image.folder.to_string_lossy();
    run(&mut source.crane(&["push", &layout, &source.image("team/app:1")])?)?;

    let text = COPY
        .replace("SOURCE", &source.host())
        .replace("TARGET", &target.host());
    let setup = Setup::with_config(&text)?;
    let ca = source
        .authority()
        .map(|authority| authority.certificate())
        .unwrap_or_default();
    fs::copy(ca, setup.folder().join("source.crt")).unwrap();
    fs::write(setup.folder().join("source.pw"), &read).unwrap();
    fs::write(setup.folder().join("target.pw"), &write).unwrap();

    // One image is not there: the other is copied all the same.
    let (output, text) = setup.run(&["sync", "mirror", "-o", "json"])?;
    assert_eq!(output.status.code(), Some(6), "{text}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["totals"]["copied"], 1, "{report}");
    assert_eq!(report["totals"]["failed"], 1, "{report}");
    assert_eq!(report["images"][0]["verified"], "touched", "{report}");
    let name = format!("mirror/{}/team/app:1", source.host().replace(':', "_"));
    let digest = run(&mut target.crane(&["digest", &target.image(&name)])?)?;
    assert_eq!(digest.trim(), image.digest);

    // Nothing to do is one HEAD a side (and the one that is told to log in).
    let before = (requests(&source), requests(&target));
    let (_, text) = setup.run(&["sync", "mirror", "-o", "json"])?;
    for (registry, before) in [(&source, before.0), (&target, before.1)] {
        let all = requests(registry);
        let new = &all[before.len()..];
        let done = new
            .iter()
            .filter(|line| !line.contains("\" 401 ") && line.contains("/app/"));
        let done = done.collect::<Vec<_>>();
        assert_eq!(done.len(), 1, "{new:#?}\n{text}");
        assert!(
            done[0].contains("\"HEAD /v2/") && done[0].contains("/manifests/1 "),
            "{new:#?}"
        );
    }
    assert_none("the output", &text, &[&read, &write])
}

fn requests(registry: &Registry) -> Vec<String> {
    let log = registry.log();
    let lines = log.lines().filter(|line| line.contains(" HTTP/1.1\" "));
    lines.map(str::to_owned).collect()
}

const TLS: &str = "
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
mirror:
  destination: embedded
  images: [{source: \"ociLayout:./layout\", as: \"team/app:1\"}]
registry:
  listen: {registry}
  tls: {certFile: registry.crt, keyFile: registry.key}
";

/// An authority whose server certificate is where the config names it.
fn new_certificate(setup: &Setup, folder: &str) -> Result<PathBuf> {
    let folder = setup.folder().join(folder);
    fs::create_dir(&folder).context("make a folder")?;
    let authority = Authority::new(&folder)?;
    let identity = authority.server("registry", &["127.0.0.1"])?;
    fs::copy(&identity.key, setup.folder().join("registry.key")).context("copy a key")?;
    fs::copy(&identity.cert, setup.folder().join("registry.crt")).context("copy a certificate")?;
    Ok(authority.certificate())
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() -> Result<()> {
    let setup = Setup::with_config(TLS)?;
    let image = two_platforms(setup.folder())?;
    let first = new_certificate(&setup, "first")?;
    let syncd = setup.start().await?;
    let name = format!("{}/team/app:1", syncd.setup.registry);
    let sees = async |ca: &Path| {
        wait_for(
            "the image behind the new certificate",
            Duration::from_secs(30),
            async || {
                let mut crane = syncd.setup.crane(None, &["digest", &name])?;
                let (output, _) = outcome(crane.env("SSL_CERT_FILE", ca))?;
                Ok(output.status.success().then(|| trimmed(&output.stdout)))
            },
            async || syncd.server.log_tail(),
        )
        .await
    };
    assert_eq!(sees(&first).await?, image.digest);
    let second = new_certificate(&syncd.setup, "second")?;
    assert_eq!(sees(&second).await?, image.digest);
    let mut crane = syncd.setup.crane(None, &["digest", &name])?;
    let (output, text) = outcome(crane.env("SSL_CERT_FILE", &first))?;
    assert!(!output.status.success() && text.contains("x509"), "{text}");
    Ok(())
}
