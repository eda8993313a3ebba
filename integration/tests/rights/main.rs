//! What syncd may do in a cluster: each overlay of `deploy/kustomize` is applied to a real
//! kube-apiserver, and its service account asks; then syncd itself runs with nothing more.
//!
//! `cargo test -p syncd-integration --test rights -- --nocapture` prints the tables.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::print_stdout,
    reason = "tests stop at the first surprise, and the tables are for people"
)]

mod ask;
mod program;

use serde_json::{Value, json};
use syncd_integration::{Apiserver, Result};

use crate::ask::{
    ACCOUNT_TOKEN, Allowed, Answer, NoRole, PULL, Policy, Row, account, annotate, apply, ask, cluster, event,
    make, own_documents, row, secret, secrets, until, with,
};

/// The same in both overlays: syncd's own namespace, and all that no syncd ever needs.
fn everywhere() -> Vec<Row> {
    let own = secrets("syncd");
    let maps = "/api/v1/namespaces/syncd/configmaps";
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let accounts = "/api/v1/namespaces/team-a/serviceaccounts";
    let binding = "/apis/rbac.authorization.k8s.io/v1";
    let policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    let token =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
    vec![
        row(Allowed, "get", &format!("{own}/syncd-state")),
        with(Allowed, "patch", &format!("{own}/syncd-state"), annotate()),
        row(Allowed, "get", &format!("{maps}/syncd-inventory")),
        with(Allowed, "patch", &format!("{maps}/syncd-inventory"), annotate()),
        with(Allowed, "create", maps, map("another")),
        row(NoRole, "get", &format!("{maps}/syncd")),
        with(NoRole, "patch", &format!("{maps}/syncd"), annotate()),
        row(NoRole, "list", maps),
        row(NoRole, "get", &format!("{own}/syncd-passwords")),
        with(NoRole, "patch", &format!("{own}/syncd-passwords"), annotate()),
        row(NoRole, "list", &own),
        row(NoRole, "delete", &format!("{own}/syncd-state")),
        // Secrets: none but those of the name, wherever they are.
        row(NoRole, "list", "/api/v1/secrets"),
        row(NoRole, "watch", "/api/v1/secrets"),
        row(
            NoRole,
            "list",
            "/api/v1/secrets?fieldSelector=metadata.name=database",
        ),
        row(
            NoRole,
            "list",
            &format!("/api/v1/secrets?fieldSelector=type={PULL}"),
        ),
        row(
            NoRole,
            "list",
            "/api/v1/secrets?labelSelector=app.kubernetes.io/managed-by=syncd",
        ),
        row(NoRole, "list", &secrets("team-a")),
        row(NoRole, "get", &format!("{}/database", secrets("team-a"))),
        row(NoRole, "get", &format!("{}/database", secrets("kube-system"))),
        with(
            NoRole,
            "patch",
            &format!("{}/database", secrets("team-a")),
            annotate(),
        ),
        row(NoRole, "delete", &format!("{}/database", secrets("team-a"))),
        row(NoRole, "delete", &secrets("team-a")),
        with(
            NoRole,
            "update",
            &format!("{}/syncd-pull", secrets("team-a")),
            secret("syncd-pull", PULL),
        ),
        // Nothing else of the cluster.
        row(NoRole, "list", "/api/v1/pods"),
        with(
            NoRole,
            "create",
            "/api/v1/namespaces/syncd/pods",
            pod("syncd", json!({})),
        ),
        row(NoRole, "list", "/api/v1/nodes"),
        row(NoRole, "list", "/apis/events.k8s.io/v1/events"),
        row(NoRole, "get", &format!("{accounts}/default")),
        with(NoRole, "patch", &format!("{accounts}/default"), annotate()),
        with(NoRole, "create", &format!("{accounts}/default/token"), token),
        with(NoRole, "patch", "/api/v1/namespaces/team-a", annotate()),
        row(NoRole, "delete", "/api/v1/namespaces/team-a"),
        row(NoRole, "list", &format!("{binding}/clusterroles")),
        with(
            NoRole,
            "patch",
            &format!("{binding}/namespaces/syncd/roles/syncd-own"),
            annotate(),
        ),
        row(NoRole, "list", policies),
        with(NoRole, "patch", &format!("{policies}/syncd-secrets"), annotate()),
    ]
}

fn pod(account: &str, security: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "test"},
        "spec": {
            "serviceAccountName": account,
            "containers": [{"name": "test", "image": "test", "securityContext": security}],
        },
    })
}

fn token_theft() -> Row {
    with(
        Policy,
        "create",
        &secrets("team-b"),
        secret("syncd-pull", ACCOUNT_TOKEN),
    )
}

/// The rights of the overlay `cluster` over namespaces and pull secrets.
fn cluster_wide() -> Vec<Row> {
    let (a, b, other, system) = (
        secrets("team-a"),
        secrets("team-b"),
        secrets("other"),
        secrets("kube-system"),
    );
    let named = "/api/v1/secrets?fieldSelector=metadata.name=syncd-pull";
    let generated = json!({
        "apiVersion": "v1", "kind": "Secret", "type": PULL, "data": {".dockerconfigjson": "e30="},
        "metadata": {"generateName": "syncd-pull"},
    });
    vec![
        row(Allowed, "list", "/api/v1/namespaces"),
        row(Allowed, "watch", "/api/v1/namespaces"),
        row(Allowed, "get", "/api/v1/namespaces/other"),
        row(Allowed, "list", named),
        row(Allowed, "list", &format!("{named},type={PULL}")),
        row(Allowed, "watch", named),
        row(Allowed, "get", &format!("{a}/syncd-pull")),
        with(Allowed, "patch", &format!("{a}/syncd-pull"), annotate()),
        row(Allowed, "delete", &format!("{a}/syncd-pull")),
        with(Allowed, "create", &b, secret("syncd-pull", PULL)),
        with(
            Allowed,
            "create",
            "/apis/events.k8s.io/v1/namespaces/team-a/events",
            event(),
        ),
        // The way to every token of the cluster.
        token_theft(),
        with(Policy, "create", &system, secret("syncd-pull", ACCOUNT_TOKEN)),
        with(Policy, "create", &b, secret("stolen", ACCOUNT_TOKEN)),
        with(Policy, "create", &b, secret("another", PULL)),
        with(Policy, "create", &b, secret("syncd-pull", "Opaque")),
        with(Policy, "create", &b, generated),
        with(Policy, "create", &system, secret("syncd-pull-2", PULL)),
        with(
            Policy,
            "create",
            &secrets("kube-public"),
            secret("syncd-pull", PULL),
        ),
        with(Policy, "create", &b, secret("syncd-state", "syncd.dev/state")),
        with(
            Policy,
            "create",
            &secrets("syncd"),
            secret("syncd-state", ACCOUNT_TOKEN),
        ),
        with(Policy, "patch", &format!("{system}/syncd-pull"), annotate()),
        row(Policy, "delete", &format!("{system}/syncd-pull")),
        // What another made under our name.
        row(Allowed, "get", &format!("{other}/syncd-pull")),
        with(Policy, "patch", &format!("{other}/syncd-pull"), annotate()),
        with(
            Policy,
            "patch",
            &format!("{other}/syncd-pull"),
            json!({"metadata": {"annotations": {"syncd.dev/owner": "syncd"}}}),
        ),
        row(Policy, "delete", &format!("{other}/syncd-pull")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_overlay_reaches_pull_secrets_and_nothing_else() -> Result<()> {
    let apiserver = cluster().await?;
    apply(&apiserver, "overlays/cluster")?;
    own_documents(&apiserver).await;
    let client = account(&apiserver).await?;
    until(&client, token_theft).await?;

    let (table, right) = ask(&client, everywhere().into_iter().chain(cluster_wide()).collect()).await;
    println!("overlays/cluster\n{table}");
    assert!(right, "not as wanted:\n{table}");
    Ok(())
}

/// The rights of the overlay `namespaced`, where `admission` says what the policies forbid.
fn by_name(admission: Answer) -> Vec<Row> {
    let (a, b, other) = (secrets("team-a"), secrets("team-b"), secrets("other"));
    let named = "fieldSelector=metadata.name=syncd-pull";
    vec![
        row(Allowed, "get", "/api/v1/namespaces/team-a"),
        row(Allowed, "get", &format!("{a}/syncd-pull")),
        row(Allowed, "list", &format!("{a}?{named}")),
        row(Allowed, "list", &format!("{a}?{named},type={PULL}")),
        row(Allowed, "watch", &format!("{b}?{named}")),
        with(Allowed, "patch", &format!("{a}/syncd-pull"), annotate()),
        row(Allowed, "delete", &format!("{a}/syncd-pull")),
        with(Allowed, "create", &b, secret("syncd-pull", PULL)),
        with(
            Allowed,
            "create",
            "/apis/events.k8s.io/v1/namespaces/team-b/events",
            event(),
        ),
        // Roles alone cannot say which secret is made: that is why the policies are recommended.
        with(admission, "create", &b, secret("stolen", ACCOUNT_TOKEN)),
        with(admission, "create", &b, secret("another", "Opaque")),
        // Beyond the named namespaces there is nothing.
        row(NoRole, "list", "/api/v1/namespaces"),
        row(NoRole, "watch", "/api/v1/namespaces"),
        row(NoRole, "get", "/api/v1/namespaces/other"),
        row(NoRole, "list", &format!("/api/v1/secrets?{named}")),
        row(NoRole, "watch", &format!("/api/v1/secrets?{named}")),
        row(NoRole, "get", &format!("{other}/syncd-pull")),
        with(NoRole, "patch", &format!("{other}/syncd-pull"), annotate()),
        row(NoRole, "delete", &format!("{other}/syncd-pull")),
        with(NoRole, "create", &other, secret("syncd-pull", PULL)),
        with(
            NoRole,
            "create",
            &secrets("kube-system"),
            secret("syncd-pull", PULL),
        ),
        with(
            NoRole,
            "create",
            "/apis/events.k8s.io/v1/namespaces/other/events",
            event(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespaced_overlay_reaches_the_named_namespaces_only() -> Result<()> {
    let apiserver = cluster().await?;
    let said = apply(&apiserver, "overlays/namespaced")?;
    assert!(
        !said.contains("clusterrole") && !said.contains("admission"),
        "{said}"
    );
    own_documents(&apiserver).await;
    let client = account(&apiserver).await?;
    until(&client, || row(Allowed, "get", "/api/v1/namespaces/team-b")).await?;
    let (table, right) = ask(
        &client,
        everywhere().into_iter().chain(by_name(Allowed)).collect(),
    )
    .await;
    println!("overlays/namespaced\n{table}");
    assert!(right, "not as wanted:\n{table}");

    apply(&apiserver, "admission")?;
    until(&client, token_theft).await?;
    let (table, right) = ask(&client, everywhere().into_iter().chain(by_name(Policy)).collect()).await;
    println!("overlays/namespaced with admission\n{table}");
    assert!(right, "not as wanted:\n{table}");
    Ok(())
}

/// Someone lets syncd change service accounts: the policy leaves it the pull secret of its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_accounts_is_good_for_the_pull_secret_only() -> Result<()> {
    let apiserver = cluster().await?;
    apply(&apiserver, "overlays/cluster")?;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "accounts"},
        "rules": [{"apiGroups": [""], "resources": ["serviceaccounts", "serviceaccounts/token"], "verbs": ["*"]}],
    });
    make(&apiserver, &format!("{rbac}/clusterroles"), role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "accounts"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "accounts"},
        "subjects": [{"kind": "ServiceAccount", "name": "syncd", "namespace": "syncd"}],
    });
    make(&apiserver, &format!("{rbac}/clusterrolebindings"), binding).await;
    let client = account(&apiserver).await?;

    let all = "/api/v1/namespaces/team-a/serviceaccounts";
    let default = format!("{all}/default");
    let secrets = |names: &[&str]| {
        let names: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "imagePullSecrets": names })
    };
    let meta = |key: &str, value: Value| json!({"metadata": {key: value}});
    let new = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine"}});
    let token =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
    let rows = || {
        vec![
            with(Allowed, "patch", &default, secrets(&["theirs", "syncd-pull"])),
            with(Policy, "patch", &default, secrets(&["syncd-pull"])),
            with(Policy, "patch", &default, secrets(&["theirs", "another"])),
            with(
                Policy,
                "patch",
                &default,
                meta("annotations", json!({"eks.amazonaws.com/role-arn": "x"})),
            ),
            with(
                Policy,
                "patch",
                &default,
                meta("labels", json!({"azure.workload.identity/use": "true"})),
            ),
            with(
                Policy,
                "patch",
                &default,
                meta("finalizers", json!(["x.example/y"])),
            ),
            with(
                Policy,
                "patch",
                &default,
                json!({"automountServiceAccountToken": false}),
            ),
            with(
                Policy,
                "patch",
                &default,
                json!({"secrets": [{"name": "database"}]}),
            ),
            with(Policy, "create", all, new.clone()),
            row(Policy, "delete", &default),
            with(Policy, "create", &format!("{default}/token"), token.clone()),
        ]
    };
    until(&client, || {
        let default = "/api/v1/namespaces/team-a/serviceaccounts/default";
        with(Policy, "patch", default, annotate())
    })
    .await?;
    let (table, right) = ask(&client, rows()).await;
    println!("with a right to service accounts\n{table}");
    assert!(right, "not as wanted:\n{table}");
    Ok(())
}

/// The namespace takes restricted pods only, and syncd's is one.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_is_restricted() -> Result<()> {
    let apiserver = Apiserver::start().await?;
    apply(&apiserver, "overlays/cluster")?;
    let deployment = "/apis/apps/v1/namespaces/syncd/deployments/syncd";
    let request = http::Request::get(deployment).body(Vec::new()).unwrap();
    let deployment: Value = apiserver.client.request(request).await.unwrap();
    let shipped = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "syncd"},
        "spec": deployment["spec"]["template"]["spec"],
    });
    let container = &shipped["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(shipped["spec"]["securityContext"]["runAsUser"], 65532);
    assert_eq!(deployment["spec"]["replicas"], 1);

    let pods = "/api/v1/namespaces/syncd/pods";
    let change = |pointer: &str, value: Value| {
        let mut pod = shipped.clone();
        *pod.pointer_mut(pointer).unwrap() = value;
        pod
    };
    let host = change(
        "/spec/volumes/2",
        json!({"name": "state", "hostPath": {"path": "/var/lib/syncd"}}),
    );
    let root = change("/spec/securityContext/runAsUser", json!(0));
    let capable = change(
        "/spec/containers/0/securityContext/capabilities",
        json!({"add": ["NET_ADMIN"]}),
    );
    let rows = vec![
        with(Allowed, "create", pods, shipped.clone()),
        with(NoRole, "create", pods, host),
        with(NoRole, "create", pods, root),
        with(NoRole, "create", pods, capable),
    ];
    let (table, right) = ask(&apiserver.client, rows).await;
    assert!(right, "not as wanted:\n{table}");
    Ok(())
}
