//! Following changes, also over a connection that breaks.

use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use syncd::cluster::{SecretMeta, Watch, WatchEvent, Watched};
use syncd_integration::process::run;
use syncd_integration::{Apiserver, Result};
use tokio::time::{Instant, timeout};

use crate::common::{NAME, apply, connect, finalize, namespace, new_secret, terminate};
use crate::wire::Wire;

const SOON: Duration = Duration::from_secs(1);

/// The next event; errors before it are returned with it.
async fn next<T>(watch: &mut Watch<T>, within: Duration) -> (Vec<String>, WatchEvent<T>) {
    let deadline = Instant::now() + within;
    let mut errors = Vec::new();
    loop {
        let event = tokio::time::timeout_at(deadline, watch.next()).await;
        match event.unwrap_or_else(|_| panic!("nothing within {within:?}; {errors:?}")) {
            Some(Ok(event)) => return (errors, event),
            Some(Err(error)) => errors.push(error.to_string()),
            None => panic!("a watch ended"),
        }
    }
}

async fn make_namespace(apiserver: &Apiserver, name: &str) -> String {
    let all: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(apiserver.client.clone());
    let wanted = serde_json::from_value(namespace(name)).unwrap();
    let made = all.create(&PostParams::default(), &wanted).await.unwrap();
    made.metadata.uid.unwrap()
}

#[tokio::test]
async fn a_new_namespace_is_seen_in_a_second_and_one_made_again_by_its_uid() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let cluster = connect(apiserver.kubeconfig()).await;
    let mut watch = cluster.watch_namespaces();
    let (_, WatchEvent::Synced(first)) = next(&mut watch, SOON).await else {
        panic!("not synced first");
    };
    assert!(first.iter().any(|one| one.name == "default"));

    let uid = make_namespace(&apiserver, "fifth").await;
    let (errors, WatchEvent::Applied(made)) = next(&mut watch, SOON).await else {
        panic!("not applied");
    };
    assert_eq!((made.name.as_str(), &made.uid, errors.len()), ("fifth", &uid, 0));
    assert_eq!(made.labels["pull"], "private");

    terminate(&apiserver, "fifth")?;
    let (_, WatchEvent::Applied(going)) = next(&mut watch, SOON).await else {
        panic!("not applied");
    };
    assert!(going.terminating);
    finalize(&apiserver, "fifth").await;
    let again = make_namespace(&apiserver, "fifth").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(kind, _)| *kind != "applied") {
        seen.push(match next(&mut watch, SOON).await.1 {
            WatchEvent::Applied(one) if one.terminating => ("going", one.uid),
            WatchEvent::Applied(one) => ("applied", one.uid),
            WatchEvent::Deleted(one) => ("deleted", one.uid),
            WatchEvent::Synced(_) => panic!("listed again without need"),
        });
    }
    assert_eq!(seen.last(), Some(&("applied", again.clone())));
    assert!(seen.contains(&("deleted", uid.clone())), "{seen:?}");
    assert_ne!(uid, again);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_its_connection_and_misses_nothing() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    let wire = Wire::before(apiserver.kubeconfig()).await;
    let cluster = connect(&wire.kubeconfig()).await;
    let mut watch = cluster.watch_namespaces();
    assert!(matches!(next(&mut watch, SOON).await.1, WatchEvent::Synced(_)));

    // Cut while idle, and something happens meanwhile.
    wire.cut();
    let uid = make_namespace(&apiserver, "while-cut").await;
    assert!(
        timeout(Duration::from_millis(700), async {
            while let Some(event) = watch.next().await {
                assert!(event.is_err(), "{event:?}");
            }
        })
        .await
        .is_err()
    );
    wire.mend();
    let event = loop {
        match next(&mut watch, Duration::from_secs(40)).await.1 {
            // After several failures the whole is listed again; the same is known then.
            WatchEvent::Synced(all) => break all.into_iter().find(|one| one.name == "while-cut"),
            WatchEvent::Applied(one) => break Some(one),
            WatchEvent::Deleted(_) => {}
        }
    };
    assert_eq!(event.unwrap().uid, uid);
    make_namespace(&apiserver, "after").await;
    assert!(matches!(next(&mut watch, SOON).await.1, WatchEvent::Applied(one) if one.name == "after"));
    Ok(())
}

/// A kind of event, and of each secret in it the namespace and whether it is a pull secret.
fn about(event: &WatchEvent<SecretMeta>) -> (&'static str, Vec<(&str, bool)>) {
    let (kind, secrets) = match event {
        WatchEvent::Synced(all) => ("synced", all.as_slice()),
        WatchEvent::Applied(one) => ("applied", std::slice::from_ref(one)),
        WatchEvent::Deleted(one) => ("deleted", std::slice::from_ref(one)),
    };
    let secrets = secrets.iter();
    let mut seen: Vec<_> = secrets
        .map(|one| (one.namespace.as_str(), one.is_docker_config))
        .collect();
    seen.sort_unstable();
    (kind, seen)
}

#[tokio::test]
async fn secrets_of_one_name_are_followed_in_all_namespaces_or_in_some() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    for name in ["a", "b", "c"] {
        make_namespace(&apiserver, name).await;
    }
    let theirs = |namespace: &str, name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}});
    apply(&apiserver, &theirs("c", NAME))?;
    apply(&apiserver, &theirs("a", "another"))?;
    let cluster = connect(apiserver.kubeconfig()).await;
    let a = cluster
        .create_secret(&new_secret("a", "{\"auths\":{}}"))
        .await
        .unwrap();

    let mut all = cluster.watch_secrets(Watched::All, NAME);
    let mut some = cluster.watch_secrets(Watched::Names(vec!["a".into(), "b".into()]), NAME);
    assert_eq!(
        about(&next(&mut all, SOON).await.1),
        ("synced", vec![("a", true), ("c", false)])
    );
    assert_eq!(
        about(&next(&mut some, SOON).await.1),
        ("synced", vec![("a", true)])
    );

    cluster
        .create_secret(&new_secret("b", "{\"auths\":{}}"))
        .await
        .unwrap();
    cluster.delete_secret(&a).await.unwrap();
    for watch in [&mut all, &mut some] {
        // Two namespaces are two watches, whose events overtake each other.
        let mut events = [next(watch, SOON).await.1, next(watch, SOON).await.1];
        events.sort_by_key(|event| about(event).0);
        assert_eq!(about(&events[0]), ("applied", vec![("b", true)]));
        assert_eq!(about(&events[1]), ("deleted", vec![("a", true)]));
        assert!(matches!(&events[1], WatchEvent::Deleted(one) if one.uid == a.uid));
    }
    // One of another type takes the place; only the watch of all sees the third namespace.
    apply(&apiserver, &theirs("a", NAME))?;
    run(&mut apiserver.kubectl(&["label", "secret", NAME, "-n", "c", "x=y"])?)?;
    assert_eq!(
        about(&next(&mut all, SOON).await.1),
        ("applied", vec![("a", false)])
    );
    assert_eq!(
        about(&next(&mut all, SOON).await.1),
        ("applied", vec![("c", false)])
    );
    assert_eq!(
        about(&next(&mut some, SOON).await.1),
        ("applied", vec![("a", false)])
    );

    // One namespace that may not be seen does not hide the others.
    let narrow = connect(&apiserver.kubeconfig_for("nobody", "nobody", "people")?).await;
    let mut none = narrow.watch_secrets(Watched::Names(vec!["a".into()]), NAME);
    let (errors, event) = next(&mut none, SOON).await;
    assert_eq!(about(&event), ("synced", vec![]));
    assert!(
        errors.iter().all(|error| error.contains("is forbidden")),
        "{errors:?}"
    );
    assert_eq!(errors.len(), 2);
    Ok(())
}
