//! The helpers themselves, against the real programs.

use std::fs;

use kube::Api;
use kube::api::PostParams;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::node::wait_started;
use syncd_integration::process::{outcome, run};
use syncd_integration::{
    Apiserver, Error, Node, Recorder, Registry, RegistryOptions, Result, Tools, with_temp_ns,
};
use tempfile::TempDir;

fn pause_layout(folder: &TempDir, marker: &str) -> Result<String> {
    let image = Image::of_program(&Tools::path("pause")?)?.unique(marker);
    let layout = folder.path().join("layout");
    write_layout(&layout, "1", &[image])?;
    Ok(layout.to_string_lossy().into_owned())
}

#[tokio::test]
async fn crane_pushes_to_a_plain_registry_and_pulls_the_same() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let layout = pause_layout(&folder, "plain")?;
    let registry = Registry::start(RegistryOptions {
        access_log: true,
        ..Default::default()
    })
    .await?;
    let image = registry.image("team/app:1");

    run(&mut registry.crane(&["push", &layout, &image])?)?;
    let pulled = folder.path().join("pulled");
    run(&mut registry.crane(&["pull", "--format=oci", &image, &pulled.to_string_lossy()])?)?;

    let digest = run(&mut registry.crane(&["digest", &image])?)?;
    let index = fs::read_to_string(pulled.join("index.json")).unwrap();
    assert!(index.contains(digest.trim()), "{index} lacks {digest}");
    assert!(
        registry.log().contains("PUT /v2/team/app/manifests/1"),
        "{}",
        registry.log()
    );
    Ok(())
}

#[tokio::test]
async fn a_registry_with_tls_and_a_login_refuses_others() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let layout = pause_layout(&folder, "login")?;
    let login = Some(("robot".to_owned(), "pw-7d1e".to_owned()));
    let registry = Registry::start(RegistryOptions {
        tls: true,
        login,
        ..Default::default()
    })
    .await?;
    let image = registry.image("team/app:1");

    run(&mut registry.crane(&["push", &layout, &image])?)?;
    assert!(!run(&mut registry.crane(&["digest", &image])?)?.is_empty());

    let ca = registry.authority().map(|authority| authority.certificate());
    let host = registry.host();
    let mut stranger =
        syncd_integration::registry::crane(folder.path(), &host, None, ca.as_deref(), &["digest", &image])?;
    let (output, text) = outcome(&mut stranger)?;
    assert!(!output.status.success() && text.contains("401"), "{text}");
    Ok(())
}

// Commands block this thread; the recorder runs on another.
#[tokio::test(flavor = "multi_thread")]
async fn the_recorder_sees_what_a_client_sends() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let registry = Registry::start(RegistryOptions::default()).await?;
    let recorder = Recorder::before(&registry.host()).await?;
    let host = recorder.host();
    let mut command = syncd_integration::registry::crane(
        folder.path(),
        &host,
        Some(("robot", "pw-91c3")),
        None,
        &["catalog", &host],
    )?;
    run(&mut command)?;
    assert!(
        recorder.seen_text().contains("GET /v2/"),
        "{}",
        recorder.seen_text()
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_program_says_how_to_get_it() {
    let error = Tools::path("no-such-program").unwrap_err();
    assert!(error.to_string().contains("integration/tools/bring"), "{error}");
    let error = Tools::system("no-such-program").unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

// Commands block this thread; the recorder runs on another.
#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_starts_a_pod_from_a_registry_named_in_hosts_toml() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let layout = pause_layout(&folder, "kubelet")?;
    let registry = Registry::start(RegistryOptions::default()).await?;
    run(&mut registry.crane(&["push", &layout, &registry.image("team/app:1")])?)?;

    let apiserver = Apiserver::start().await?;
    let node = Node::start(&apiserver).await?;
    node.write_hosts_toml(
        "registry.test",
        &format!("server = \"{url}\"\n[host.\"{url}\"]\n", url = registry.url()),
    )?;
    with_temp_ns(&apiserver.client, async |client, namespace| {
        let pods: Api<_> = Api::namespaced(client.clone(), &namespace);
        let pod = node.pod("app", "registry.test/team/app:1", &[])?;
        pods.create(&PostParams::default(), &pod).await.unwrap();
        wait_started(&client, &namespace, "app").await
    })
    .await?;
    assert_eq!(node.outside().seen_text(), "", "nothing was asked of the outside");
    Ok(())
}
