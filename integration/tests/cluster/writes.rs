//! Writing: in place, guarded by the version, and refused in words without the secret.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use syncd::cluster::{Cluster, ClusterError, ClusterErrorKind, EventSubject, OwnKind};
use syncd::telemetry::chain;
use syncd_config::Secret;
use syncd_integration::process::{run, wait_for};
use syncd_integration::secrets::{assert_none, unique};
use syncd_integration::{Apiserver, Result};

use crate::common::{NAME, apply, connect, docker_config, namespace, new_secret, stored, terminate};

#[tokio::test]
async fn a_secret_is_made_changed_in_place_and_removed() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    apply(&apiserver, &namespace("team"))?;
    let cluster = connect(apiserver.kubeconfig()).await;
    let (first, second) = (docker_config(&unique("a")), docker_config(&unique("b")));

    let made = cluster.create_secret(&new_secret("team", &first)).await.unwrap();
    assert!(
        made.is_docker_config && made.other_managers.is_empty(),
        "{made:?}"
    );
    assert_eq!(cluster.secret("team", NAME).await.unwrap().unwrap(), made);
    let error = cluster
        .create_secret(&new_secret("team", &first))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::AlreadyExists);
    assert_eq!(
        error.to_string(),
        "failed to create secret team/pull: secrets \"pull\" already exists"
    );

    // Others add what is theirs, and so make the version that was read an old one.
    for change in [
        ["label", "secret", NAME, "-n", "team", "theirs=label"],
        ["annotate", "secret", NAME, "-n", "team", "theirs=annotation"],
    ] {
        run(&mut apiserver.kubectl(&change)?)?;
    }
    let other_key = r#"{"data":{"other":"AAAA"},"metadata":{"finalizers":["example.test/keep"]}}"#;
    run(&mut apiserver.kubectl(&["patch", "secret", NAME, "-n", "team", "-p", other_key])?)?;
    let mut new = new_secret("team", &second);
    new.annotations = [("syncd.dev/content-hash".to_owned(), "2".to_owned())].into();
    let error = cluster.update_secret(&made, &new).await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Conflict, "{error}");

    let was = cluster.secret("team", NAME).await.unwrap().unwrap();
    let updated = cluster.update_secret(&was, &new).await.unwrap();
    assert_eq!(updated.uid, made.uid);
    assert_eq!(updated.labels["theirs"], "label");
    assert_eq!(updated.annotations["theirs"], "annotation");
    assert_eq!(updated.annotations["syncd.dev/content-hash"], "2");
    assert_eq!(
        updated.annotations.get("syncd.dev/owner"),
        None,
        "no longer wanted"
    );
    let is = stored(&apiserver, "team").await;
    let data = is.data.unwrap();
    assert_eq!(data[".dockerconfigjson"].0, second.as_bytes());
    assert!(data.contains_key("other"));
    assert_eq!(is.metadata.finalizers.unwrap(), ["example.test/keep"]);

    // The same again writes nothing.
    let again = cluster.update_secret(&updated, &new).await.unwrap();
    assert_eq!(again.resource_version, updated.resource_version);

    let error = cluster.delete_secret(&made).await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Conflict, "{error}");
    cluster.delete_secret(&again).await.unwrap();
    let going = cluster.secret("team", NAME).await.unwrap().unwrap();
    assert!(going.terminating);
    let free = r#"{"metadata":{"finalizers":null}}"#;
    run(&mut apiserver.kubectl(&["patch", "secret", NAME, "-n", "team", "-p", free])?)?;
    assert_eq!(cluster.secret("team", NAME).await.unwrap(), None);
    cluster.delete_secret(&again).await.unwrap();
    let error = cluster.update_secret(&again, &new).await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::NotFound);
    Ok(())
}

/// A policy that refuses, in words that quote the secret.
fn quoting_policy() -> serde_json::Value {
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "no-secrets"},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "guarded"}}},
        "validations": [{"expression": "object.metadata.name != 'pull'",
            "messageExpression": "'not here: ' + string(object.data['.dockerconfigjson'])"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-secrets"},
        "spec": {"policyName": "no-secrets", "validationActions": ["Deny"]}});
    json!({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
}

fn check(error: &ClusterError, kind: ClusterErrorKind, words: &str, secrets: &[&str]) -> Result<()> {
    let text = format!("{} {error:?}", chain(error));
    assert_eq!(error.kind, kind, "{text}");
    assert!(text.contains(words), "{text}");
    assert_none("a refusal", &text, secrets)
}

#[tokio::test]
async fn refusals_are_told_apart_and_never_quote_the_secret() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    for name in ["going", "guarded", "opaque", "fixed"] {
        apply(&apiserver, &namespace(name))?;
    }
    let cluster = connect(apiserver.kubeconfig()).await;
    let password = unique("refused");
    let config = docker_config(&password);
    let encoded = STANDARD.encode(&config);
    let secrets = [password.as_str(), config.as_str(), encoded.as_str()];

    terminate(&apiserver, "going")?;
    let error = cluster
        .create_secret(&new_secret("going", &config))
        .await
        .unwrap_err();
    check(
        &error,
        ClusterErrorKind::Terminating,
        "because it is being terminated",
        &secrets,
    )?;
    let error = cluster
        .create_secret(&new_secret("missing", &config))
        .await
        .unwrap_err();
    check(
        &error,
        ClusterErrorKind::NotFound,
        "namespaces \"missing\" not found",
        &secrets,
    )?;

    // A type cannot be changed, and not be got round.
    let opaque =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": "opaque"}});
    apply(&apiserver, &opaque)?;
    let was = cluster.secret("opaque", NAME).await.unwrap().unwrap();
    let error = cluster
        .update_secret(&was, &new_secret("opaque", &config))
        .await
        .unwrap_err();
    check(&error, ClusterErrorKind::Invalid, "field is immutable", &secrets)?;

    let made = cluster
        .create_secret(&new_secret("fixed", &config))
        .await
        .unwrap();
    let fix = r#"{"immutable":true}"#;
    run(&mut apiserver.kubectl(&["patch", "secret", NAME, "-n", "fixed", "-p", fix])?)?;
    let was = cluster.secret("fixed", NAME).await.unwrap().unwrap();
    assert_eq!(was.uid, made.uid);
    let other = docker_config(&unique("other"));
    let error = cluster
        .update_secret(&was, &new_secret("fixed", &other))
        .await
        .unwrap_err();
    check(
        &error,
        ClusterErrorKind::Invalid,
        "immutable",
        &[&other, &STANDARD.encode(&other)],
    )?;

    // What is not even JSON is refused in words that could quote it.
    for broken in [
        format!("{{\"auths\": \"{password}\"}}"),
        format!("[\"{password}\""),
        password.clone(),
    ] {
        let error = cluster
            .create_secret(&new_secret("opaque-2", &broken))
            .await
            .unwrap_err();
        assert_none(
            "a refusal",
            &chain(&error),
            &[&password, &STANDARD.encode(&broken)],
        )?;
        let error = cluster.create_secret(&new_secret("default", &broken)).await;
        if let Err(error) = error {
            check(
                &error,
                ClusterErrorKind::Invalid,
                "",
                &[&password, &STANDARD.encode(&broken)],
            )?;
        } else {
            let was = cluster.secret("default", NAME).await.unwrap().unwrap();
            cluster.delete_secret(&was).await.unwrap();
        }
    }

    apply(&apiserver, &quoting_policy())?;
    let words = async || {
        let refused = cluster.create_secret(&new_secret("guarded", &config)).await;
        match refused {
            Ok(made) => cluster.delete_secret(&made).await.map(|()| None).unwrap(),
            Err(error) => Some(error),
        }
    };
    // A policy takes a moment to come into force.
    let within = std::time::Duration::from_secs(30);
    let error = wait_for(
        "the policy's refusal",
        within,
        async || Ok(words().await),
        async || String::new(),
    )
    .await?;
    check(
        &error,
        ClusterErrorKind::Invalid,
        "denied request: not here: ****",
        &secrets,
    )?;

    nobody(&apiserver, &config, &secrets).await
}

/// What one without rights is told.
async fn nobody(apiserver: &Apiserver, config: &str, secrets: &[&str]) -> Result<()> {
    let cluster = connect(&apiserver.kubeconfig_for("nobody", "nobody", "people")?).await;
    let new = new_secret("opaque", config);
    let error = cluster.create_secret(&new).await.unwrap_err();
    check(
        &error,
        ClusterErrorKind::Forbidden,
        "failed to create secret opaque/pull: ",
        secrets,
    )?;
    let admin = connect(apiserver.kubeconfig()).await;
    let was = admin.secret("opaque", NAME).await.unwrap().unwrap();
    let error = cluster.update_secret(&was, &new).await.unwrap_err();
    check(
        &error,
        ClusterErrorKind::Forbidden,
        "failed to patch secret opaque/pull: ",
        secrets,
    )?;
    let error = cluster.delete_secret(&was).await.unwrap_err();
    check(
        &error,
        ClusterErrorKind::Forbidden,
        "failed to delete secret opaque/pull: ",
        secrets,
    )?;
    let error = cluster
        .read_own(OwnKind::Secret, "syncd-state")
        .await
        .unwrap_err();
    check(
        &error,
        ClusterErrorKind::Forbidden,
        "failed to get secret ",
        secrets,
    )
}

#[tokio::test]
async fn own_documents_are_replaced_whole_and_events_are_seen() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let cluster = Cluster::of_client(connect(apiserver.kubeconfig()).await.client(), "default");
    let data = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), Secret::new(*text)));
        pairs.collect::<BTreeMap<_, _>>()
    };
    for (kind, name) in [
        (OwnKind::Secret, "syncd-state"),
        (OwnKind::ConfigMap, "syncd-inventory"),
    ] {
        assert_eq!(cluster.read_own(kind, name).await.unwrap(), None);
        let first = data(&[("a", "{\"x\": \"é\"}"), ("b", "2")]);
        let made = cluster.write_own(kind, name, &first, None).await.unwrap();
        let read = cluster.read_own(kind, name).await.unwrap().unwrap();
        assert_eq!((&read.data, &read.resource_version), (&first, &made));

        let second = data(&[("b", "3")]);
        let error = cluster.write_own(kind, name, &second, None).await.unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::AlreadyExists);
        let newer = cluster.write_own(kind, name, &second, Some(&made)).await.unwrap();
        let read = cluster.read_own(kind, name).await.unwrap().unwrap();
        assert_eq!((&read.data, &read.resource_version), (&second, &newer));
        let error = cluster
            .write_own(kind, name, &first, Some(&made))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::Conflict, "{error}");
        let emptied = cluster
            .write_own(kind, name, &data(&[]), Some(&newer))
            .await
            .unwrap();
        let read = cluster.read_own(kind, name).await.unwrap().unwrap();
        assert_eq!((read.data.len(), read.resource_version), (0, emptied));
    }
    let state = run(&mut apiserver.kubectl(&["get", "secret", "syncd-state", "-o", "jsonpath={.type}"])?)?;
    assert_eq!(state, "syncd.dev/state");

    let made = cluster
        .create_secret(&new_secret("default", "{\"auths\":{}}"))
        .await
        .unwrap();
    let about = EventSubject {
        kind: "Secret".into(),
        namespace: "default".into(),
        name: NAME.into(),
        uid: made.uid,
    };
    let note = format!("{}\u{1b}[2J", "€".repeat(2000));
    for _ in 0..2 {
        cluster
            .event(&about, true, "CredentialRefused", "Publish", &note)
            .await
            .unwrap();
    }
    let events: Api<Event> = Api::namespaced(apiserver.client.clone(), "default");
    let about_us = ListParams::default().fields("reason=CredentialRefused");
    let listed = events.list(&about_us).await.unwrap().items;
    assert_eq!(listed.len(), 1, "a repeated event is counted");
    assert_eq!(listed[0].series.as_ref().unwrap().count, 2);
    // Counting on it fails when it was deleted; then it is told anew.
    run(&mut apiserver.kubectl(&["delete", "events", "--all", "-n", "default"])?)?;
    cluster
        .event(&about, true, "CredentialRefused", "Publish", &note)
        .await
        .unwrap();
    assert_eq!(events.list(&about_us).await.unwrap().items.len(), 1);
    let described = run(&mut apiserver.kubectl(&["describe", "secret", NAME, "-n", "default"])?)?;
    assert!(!described.contains('\u{1b}'), "{described:?}");
    Ok(())
}
