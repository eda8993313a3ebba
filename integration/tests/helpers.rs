//! The helpers themselves, against the real programs.

use std::fs;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::{ListParams, PostParams};
use syncd_integration::faulty::{Options, expiring_password};
use syncd_integration::http::get;
use syncd_integration::image::{Image, write_layout};
use syncd_integration::node::wait_started;
use syncd_integration::process::{outcome, run};
use syncd_integration::registry::crane;
use syncd_integration::{
    Apiserver, Error, Fault, Faulty, Login, Node, Recorder, Refusal, Registry, RegistryOptions, Result,
    Tools, with_temp_ns,
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

// crane blocks this thread; the registry runs on another.
#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_registry_fails_as_it_is_told_and_in_nothing_else() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let layout = pause_layout(&folder, "faulty")?;
    let password = "pw-41f0".to_owned();
    let login = Login::Bearer("robot".to_owned(), password.clone());
    let registry = Faulty::start(Options {
        login,
        ..Default::default()
    })
    .await?;
    let limit = Refusal::new(429, "TOOMANYREQUESTS", "slow down").retry_after(1);
    let refused = Refusal::new(403, "DENIED", "not you");
    for (name, fault) in [
        ("good", Fault::None),
        ("blob", Fault::Blob(refused.clone())),
        ("token", Fault::Token(refused)),
        ("limit", Fault::Manifest(limit)),
        ("damaged", Fault::Damaged),
        ("cut", Fault::CutShort),
        ("echo", Fault::EchoToken),
    ] {
        registry.serve(name, layout.as_ref(), fault)?;
    }
    let pull = |password: &str, name: &str| -> Result<String> {
        let login = Some(("robot", password));
        let to = folder.path().join("pulled").to_string_lossy().into_owned();
        let image = registry.image(name);
        let mut command = crane(
            folder.path(),
            &registry.host(),
            login,
            None,
            &["pull", &image, &to],
        )?;
        let (output, text) = outcome(&mut command)?;
        Ok(if output.status.success() {
            "pulled".to_owned()
        } else {
            text
        })
    };
    let expired = expiring_password(1_000_000_000);
    for (password, name, expected) in [
        (password.as_str(), "good:1", "pulled"),
        (&password, "good:2", "MANIFEST_UNKNOWN"),
        (&password, "bad:1", "NAME_UNKNOWN"),
        ("other", "good:1", "incorrect username or password"),
        (&expired, "good:1", "expired token"),
        (&password, "blob:1", "DENIED: not you"),
        (&password, "token:1", "DENIED: not you"),
        (&password, "limit:1", "TOOMANYREQUESTS"),
        (&password, "damaged:1", "error verifying sha256 checksum"),
        (&password, "cut:1", "unexpected EOF"),
        (&password, "echo:1", "robot:pw-41f0"),
    ] {
        let said = pull(password, name)?;
        assert!(said.contains(expected), "{name}, not {expected}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_faulty_registry_is_strict() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let layout = pause_layout(&folder, "strict")?;
    let open = Faulty::start(Options::default()).await?;
    open.serve("app", layout.as_ref(), Fault::None)?;
    let nothing = format!("sha256:{}", "0".repeat(64));
    for (path, status) in [
        ("/v2/".to_owned(), 200),
        ("/v2/app/tags/list".to_owned(), 200),
        // This client accepts no type of manifest.
        ("/v2/app/manifests/1".to_owned(), 404),
        ("/v2/App/manifests/1".to_owned(), 400),
        ("/v2/app/blobs/sha256:../../x".to_owned(), 400),
        (format!("/v2/app/blobs/{nothing}"), 404),
        ("/v1/".to_owned(), 404),
    ] {
        assert_eq!(get(&open.host(), &path).await?.status, status, "{path}");
    }
    let login = Login::Basic("robot".to_owned(), "pw".to_owned());
    let closed = Faulty::start(Options {
        login,
        ..Default::default()
    })
    .await?;
    let reply = get(&closed.host(), "/v2/").await?;
    assert_eq!(reply.status, 401);
    assert!(
        reply
            .head
            .to_lowercase()
            .contains("www-authenticate: basic realm="),
        "{}",
        reply.head
    );
    assert_eq!(closed.asked(), ["GET /v2/ 401"]);
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

#[tokio::test]
async fn an_account_has_its_own_name_and_no_rights() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    with_temp_ns(&apiserver.client, async |client, namespace| {
        let mut robot = ServiceAccount::default();
        robot.metadata.name = Some("robot".to_owned());
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace);
        accounts.create(&PostParams::default(), &robot).await.unwrap();

        let kubeconfig = apiserver.kubeconfig_of_account(&namespace, "robot").await?;
        let client = apiserver.client_of(&kubeconfig).await?;
        assert_eq!(client.default_namespace(), namespace);
        let review: Api<SelfSubjectReview> = Api::all(client.clone());
        let me = review
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .unwrap();
        let name = me.status.and_then(|status| status.user_info?.username);
        assert_eq!(name, Some(format!("system:serviceaccount:{namespace}:robot")));
        let secrets: Api<Secret> = Api::namespaced(client, &namespace);
        let refused = secrets.list(&ListParams::default()).await.unwrap_err();
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));
        Ok(())
    })
    .await
}
