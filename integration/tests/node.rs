//! A real kubelet and containerd pull unchanged names from the embedded registry.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use syncd_integration::error::Context;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::node::wait_started;
use syncd_integration::process::run;
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::syncd::{Setup, Syncd};
use syncd_integration::tools::repository;
use syncd_integration::{Apiserver, Node, Recorder, Result, Tools, with_temp_ns};

const PUBLIC: &str = "
apiVersion: syncd.dev/v1alpha1
kind: Config
listen: {status}
mirror:
  destination: embedded
  images:
    - {source: \"ociLayout:EXAMPLES/hello\", as: \"docker.io/library/hello:1\"}
    - {source: \"ociLayout:./other\", as: \"docker.io/library/other:1\"}
registry:
  listen: {registry}
";

async fn public_mirror() -> Result<Syncd> {
    let examples = repository().join("config/examples");
    let setup = Setup::with_config(&PUBLIC.replace("EXAMPLES", &examples.to_string_lossy()))?;
    let other = Image::of_program(&Tools::path("pause")?)?.unique("with a pull secret");
    write_layout(&setup.folder().join("other"), "1", &[other])?;
    let syncd = setup.start().await?;
    for name in ["docker.io/library/hello:1", "docker.io/library/other:1"] {
        syncd.wait_image(name, None).await?;
    }
    Ok(syncd)
}

/// No `server` line: what the mirror does not have would be asked of Docker Hub,
/// which the node's recorder would see.
fn hosts_toml(mirror: &str) -> String {
    format!("[host.\"http://{mirror}\"]\n  capabilities = [\"pull\", \"resolve\"]\n")
}

async fn pull_secret(client: &Client, namespace: &str, password: &str) -> Result<()> {
    let auth = STANDARD.encode(format!("hub-user:{password}"));
    let hub = "https://index.docker.io/v1/";
    let config = serde_json::json!({ "auths": { hub: { "auth": auth } } });
    let mut secret = Secret::default();
    secret.metadata.name = Some("upstream".to_owned());
    secret.type_ = Some("kubernetes.io/dockerconfigjson".to_owned());
    let content = ByteString(config.to_string().into_bytes());
    secret.data = Some(BTreeMap::from([(".dockerconfigjson".to_owned(), content)]));
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .context("make a secret")
        .map(drop)
}

// Commands block this thread; the recorders run on another.
#[tokio::test(flavor = "multi_thread")]
async fn pods_start_under_unchanged_names_and_no_upstream_secret_reaches_the_mirror() -> Result<()> {
    let syncd = public_mirror().await?;
    let listener = Recorder::before(&syncd.setup.registry).await?;
    let apiserver = Apiserver::start().await?;
    let node = Node::start(&apiserver).await?;
    node.write_hosts_toml("docker.io", &hosts_toml(&listener.host()))?;
    let password = unique("upstream");

    with_temp_ns(&apiserver.client, async |client, namespace| {
        let pods: Api<_> = Api::namespaced(client.clone(), &namespace);
        let plain = node.pod("plain", "docker.io/library/hello:1", &[])?;
        pods.create(&PostParams::default(), &plain).await.unwrap();
        wait_started(&client, &namespace, "plain").await?;

        pull_secret(&client, &namespace, &password).await?;
        let logged_in = node.pod("logged-in", "docker.io/library/other:1", &["upstream"])?;
        pods.create(&PostParams::default(), &logged_in).await.unwrap();
        wait_started(&client, &namespace, "logged-in").await
    })
    .await?;

    let seen = listener.seen_text();
    for name in ["hello", "other"] {
        assert!(
            seen.contains(&format!("/v2/library/{name}/manifests/1?ns=docker.io")),
            "{seen}"
        );
        assert!(
            seen.contains(&format!("GET /v2/library/{name}/blobs/sha256:")),
            "{seen}"
        );
    }
    assert!(!seen.to_lowercase().contains("authorization:"), "{seen}");
    assert_none("what the mirror's listener was sent", &seen, &[&password])?;
    assert_none("the daemon's log", &syncd.server.log(), &[&password])?;
    assert_eq!(node.outside().seen_text(), "", "another registry was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_through_hosts_toml_with_the_mirrors_own_password() -> Result<()> {
    let syncd = Setup::quickstart()?.start().await?;
    let password = "mirror-demo-password";
    syncd
        .wait_image("docker.io/library/hello:1", Some(("demo", password)))
        .await?;
    let apiserver = Apiserver::start().await?;
    let node = Node::start(&apiserver).await?;
    node.write_hosts_toml("docker.io", &hosts_toml(&syncd.setup.registry))?;

    let image = "docker.io/library/hello:1";
    let hosts = node.certs_d();
    let hosts = hosts.to_string_lossy();
    let pull = |login: &[&str]| {
        let mut arguments = vec!["images", "pull", "--hosts-dir", &hosts];
        arguments.extend(login);
        arguments.push(image);
        run(&mut node.ctr(&arguments)?)
    };
    let refused = pull(&[]).expect_err("a pull without the password");
    assert!(
        format!("{refused:?}").contains("authorization failed"),
        "{refused:?}"
    );
    pull(&["--user", &format!("demo:{password}")])?;

    // The same as a node is configured: the login stands in hosts.toml.
    run(&mut node.ctr(&["images", "rm", image])?)?;
    let basic = STANDARD.encode(format!("demo:{password}"));
    let mirror = &syncd.setup.registry;
    let header = format!("  [host.\"http://{mirror}\".header]\n    authorization = \"Basic {basic}\"\n");
    node.write_hosts_toml("docker.io", &(hosts_toml(mirror) + &header))?;
    with_temp_ns(&apiserver.client, async |client, namespace| {
        let pods: Api<_> = Api::namespaced(client.clone(), &namespace);
        let pod = node.pod("hello", image, &[])?;
        pods.create(&PostParams::default(), &pod).await.unwrap();
        wait_started(&client, &namespace, "hello").await
    })
    .await
}
