//! Reading: complete, metadata only, and with few rights.

use serde_json::json;
use syncd::cluster::ClusterErrorKind;
use syncd_integration::process::run;
use syncd_integration::secrets::unique;
use syncd_integration::{Apiserver, Result};

use crate::common::{NAME, apply, connect, docker_config, namespace, terminate};

#[tokio::test]
async fn namespaces_are_listed_whole_over_pages_and_with_their_state() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let names = (0..520).map(|number| format!("many-{number:03}"));
    let many = names.map(|name| namespace(&name)).collect::<Vec<_>>();
    apply(
        &apiserver,
        &json!({"apiVersion": "v1", "kind": "List", "items": many}),
    )?;
    terminate(&apiserver, "many-007")?;
    let cluster = connect(apiserver.kubeconfig()).await;

    let listed = cluster.namespaces().await.unwrap();
    let ours = listed.iter().filter(|one| one.name.starts_with("many-"));
    assert_eq!(ours.count(), 520);
    for one in &listed {
        let ours = one.name.starts_with("many-");
        assert_eq!(one.labels.get("pull").is_some_and(|pull| pull == "private"), ours);
        assert_eq!(one.terminating, one.name == "many-007", "{}", one.name);
        assert_eq!(one.uid.len(), 36);
    }
    let one = cluster.namespace("many-007").await.unwrap().unwrap();
    assert!(listed.contains(&one));
    assert_eq!(cluster.namespace("missing").await.unwrap(), None);
    Ok(())
}

#[tokio::test]
async fn a_secret_is_known_by_its_type_and_by_who_else_writes_it() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let password = unique("read");
    let secret = |namespace: &str, type_: &str, key: &str, value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": type_,
            "metadata": {"name": NAME, "namespace": namespace}, "stringData": {key: value}})
    };
    let config = docker_config(&password);
    let items = [
        namespace("a"),
        namespace("b"),
        namespace("c"),
        namespace("d"),
        secret(
            "a",
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
            &config,
        ),
        secret("b", "kubernetes.io/dockercfg", ".dockercfg", "{}"),
        secret("c", "Opaque", ".dockerconfigjson", &config),
    ];
    apply(
        &apiserver,
        &json!({"apiVersion": "v1", "kind": "List", "items": items}),
    )?;
    let mut edit = apiserver.kubectl(&["edit", "secret", NAME, "-n", "a"])?;
    run(edit.env("KUBE_EDITOR", "sed -i 's/^data:/data:\\n  more: AAAA/'"))?;

    let cluster = connect(apiserver.kubeconfig()).await;
    let mut named = cluster.secrets_named(NAME).await.unwrap();
    named.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    let types = named
        .iter()
        .map(|one| (one.namespace.as_str(), one.is_docker_config))
        .collect::<Vec<_>>();
    assert_eq!(types, [("a", true), ("b", false), ("c", false)]);
    assert_eq!(named[0].other_managers, ["kubectl", "kubectl-edit"]);
    for one in &named {
        let alone = cluster.secret(&one.namespace, NAME).await.unwrap().unwrap();
        assert_eq!(&alone, one);
        assert!(!format!("{alone:?}").contains(&password));
    }
    assert_eq!(cluster.secret("d", NAME).await.unwrap(), None);
    assert_eq!(cluster.secret("missing", NAME).await.unwrap(), None);

    let content = cluster.secret_content("c", NAME).await.unwrap().unwrap();
    assert_eq!(content.type_, "Opaque");
    assert_eq!(content.data[".dockerconfigjson"], config.as_bytes());
    assert!(!format!("{content:?}").contains(&password));
    assert!(cluster.secret_content("d", NAME).await.unwrap().is_none());
    Ok(())
}

#[tokio::test]
async fn the_right_to_one_name_is_enough_and_another_is_forbidden() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME],
        "verbs": ["get", "list", "watch"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "one-name"}, "rules": [rule]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "one-name"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "one-name"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "narrow"}]});
    let theirs =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": "default"}});
    let items = [role, binding, theirs];
    apply(
        &apiserver,
        &json!({"apiVersion": "v1", "kind": "List", "items": items}),
    )?;

    let cluster = connect(&apiserver.kubeconfig_for("narrow", "narrow", "people")?).await;
    assert_eq!(cluster.secrets_named(NAME).await.unwrap().len(), 1);
    assert!(cluster.secret("default", NAME).await.unwrap().is_some());
    let error = cluster.secrets_named("other").await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Forbidden);
    assert_eq!(
        error.to_string(),
        "failed to list secrets named other: secrets \"other\" is forbidden: User \"narrow\" cannot list \
         resource \"secrets\" in API group \"\" at the cluster scope"
    );
    assert!(error.hint().is_some());
    let error = cluster.namespaces().await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Forbidden);
    Ok(())
}
