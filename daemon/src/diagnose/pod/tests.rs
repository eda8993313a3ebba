//! What is taken out of pods and events as the API sends them.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::told::{Event, told};
use super::view::{State, view};
use crate::report::Cause;

/// A pod as kubelet 1.36 leaves it in the API after a pull that failed.
fn pod(edit: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-7d4b9-x2x", "namespace": "team-a", "uid": "6f0d-1",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9", "uid": "1"}]
        },
        "spec": {
            "nodeName": "node-1",
            "serviceAccountName": "web",
            "imagePullSecrets": [{"name": "regcred"}, {}, {"name": "other"}],
            "initContainers": [{"name": "fetch", "image": "reg.example/fetch:1"}],
            "containers": [
                {"name": "side", "image": "reg.example/side:1"},
                {"name": "app", "image": "reg.example/team/app:1", "imagePullPolicy": "Always"}
            ]
        },
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "initContainerStatuses": [{
                "name": "fetch", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}
            }],
            "containerStatuses": [
                {
                    "name": "app", "image": "reg.example/team/app:1", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {
                        "reason": "ImagePullBackOff",
                        "message": "Back-off pulling image \"reg.example/team/app:1\": ErrImagePull: failed to pull and \
                                    unpack image \"reg.example/team/app:1\": failed to resolve image: \
                                    reg.example/team/app:1: not found"
                    }}
                },
                {
                    "name": "side", "image": "reg.example/side:1", "imageID": "x", "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-08-20T12:00:00Z"}}
                }
            ]
        }
    });
    edit(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn wait(pod: &mut Value, reason: &str, message: &str) {
    pod["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": reason, "message": message}});
}

fn event(reason: &str, message: &str, at: &str) -> Event {
    Event {
        reason: reason.to_owned(),
        message: message.to_owned(),
        container: None,
        at: at.parse().ok(),
        count: 1,
    }
}

#[test]
fn the_container_that_cannot_pull_is_chosen() {
    let view = view(&pod(|_| {}), None).unwrap();
    assert_eq!(
        (view.namespace.as_str(), view.name.as_str()),
        ("team-a", "web-7d4b9-x2x")
    );
    assert_eq!(view.container.name, "app");
    assert_eq!(view.container.image, "reg.example/team/app:1");
    assert!(matches!(&view.container.state, State::Pulling { reason, .. } if reason == "ImagePullBackOff"));
    assert_eq!(view.secrets, ["regcred", "other"]);
    assert_eq!((view.account.as_str(), view.owned, view.others), ("web", true, 0));
    assert_eq!(view.node.as_deref(), Some("node-1"));
    assert_eq!(view.stuck, None);
}

#[test]
fn a_container_may_be_named() {
    let pod = pod(|_| {});
    assert_eq!(view(&pod, Some("side")).unwrap().container.state, State::Well);
    assert_eq!(view(&pod, Some("side")).unwrap().others, 1);
    assert_eq!(view(&pod, Some("fetch")).unwrap().container.state, State::Well);
    assert_eq!(
        view(&pod, Some("nope")).unwrap_err().there,
        ["fetch", "side", "app"]
    );
}

#[test]
fn every_reason_of_a_failed_pull_is_known() {
    for reason in [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    ] {
        let view = view(&pod(|pod| wait(pod, reason, "")), None).unwrap();
        assert!(matches!(view.container.state, State::Pulling { .. }), "{reason}");
    }
    for (reason, starting) in [
        ("ContainerCreating", true),
        ("PodInitializing", true),
        ("", true),
        ("CrashLoopBackOff", false),
        ("CreateContainerConfigError", false),
        ("RunContainerError", false),
    ] {
        let view = view(&pod(|pod| wait(pod, reason, "")), Some("app")).unwrap();
        assert_eq!(view.container.state == State::Starting, starting, "{reason}");
        assert_eq!(
            matches!(view.container.state, State::Stuck { .. }),
            !starting,
            "{reason}"
        );
    }
}

#[test]
fn pods_that_no_image_holds_up() {
    let unscheduled = pod(|pod| {
        pod["status"] = json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu."
        }]});
        pod["spec"]["nodeName"] = Value::Null;
    });
    let seen = view(&unscheduled, None).unwrap();
    assert_eq!(seen.node, None);
    assert_eq!(seen.container.state, State::Starting);
    assert_eq!(
        seen.stuck.as_deref(),
        Some("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.")
    );
    let evicted = pod(|pod| {
        pod["status"] =
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource"});
    });
    let stuck = view(&evicted, None).unwrap().stuck;
    assert_eq!(stuck.as_deref(), Some("Evicted: The node was low on resource"));
    let ended = pod(|pod| {
        pod["status"]["containerStatuses"][0]["state"] =
            json!({"terminated": {"exitCode": 3, "reason": "Error"}});
    });
    let state = view(&ended, None).unwrap().container.state;
    assert!(matches!(state, State::Stuck { message, .. } if message == "it ended with code 3"));
    let bare: Pod = serde_json::from_value(json!({"metadata": {"name": "x"}})).unwrap();
    assert!(view(&bare, None).unwrap_err().there.is_empty());
}

const NOT_FOUND: &str = "Failed to pull image \"reg.example/team/app:1\": failed to pull and unpack image \
    \"reg.example/team/app:1\": failed to resolve image: reg.example/team/app:1: not found";
const X509: &str = "Failed to pull image \"reg.example/team/app:1\": rpc error: code = Unknown desc = failed to pull \
    and unpack image \"reg.example/team/app:1\": failed to resolve reference \"reg.example/team/app:1\": failed to do \
    request: Head \"https://reg.example/v2/team/app/manifests/1\": x509: certificate signed by unknown authority";
const BACK_OFF: &str = "Back-off pulling image \"reg.example/team/app:1\"";

#[test]
fn the_waiting_message_comes_first_and_events_help_out() {
    let old = event("Failed", X509, "2026-08-20T12:00:00Z");
    let new = event("Failed", NOT_FOUND, "2026-08-20T12:05:00Z");
    let noise = event("Failed", "Error: ImagePullBackOff", "2026-08-20T12:06:00Z");
    let untimed = event("Failed", X509, "");
    let backed = event("BackOff", BACK_OFF, "2026-08-20T12:07:00Z");
    for (reason, message, events, cause, source) in [
        // The status holds the last error: events are older.
        (
            "ErrImagePull",
            X509,
            vec![new.clone()],
            Cause::TlsUnknownCa,
            "ErrImagePull, in the pod's status",
        ),
        (
            "ImagePullBackOff",
            BACK_OFF,
            vec![old.clone(), new.clone()],
            Cause::TagNotFound,
            "event Failed",
        ),
        (
            "ImagePullBackOff",
            BACK_OFF,
            vec![new.clone(), old.clone(), noise, backed.clone()],
            Cause::TagNotFound,
            "event Failed",
        ),
        (
            "ImagePullBackOff",
            BACK_OFF,
            vec![untimed, new],
            Cause::TagNotFound,
            "event Failed",
        ),
        (
            "ImagePullBackOff",
            BACK_OFF,
            vec![backed],
            Cause::NoCauseInMessage,
            "ImagePullBackOff, in the pod's status",
        ),
        (
            "ErrImageNeverPull",
            "",
            vec![],
            Cause::ImageNeverPull,
            "ErrImageNeverPull, in the pod's status",
        ),
        (
            "SignatureValidationFailed",
            "no good",
            vec![],
            Cause::SignatureRejected,
            "SignatureValidationFailed, in the pod's status",
        ),
    ] {
        let view = view(&pod(|pod| wait(pod, reason, message)), None).unwrap();
        let told = told(&view, &events);
        assert_eq!(
            told.first().map(|first| first.cause),
            Some(cause),
            "{reason} {message}"
        );
        assert_eq!(told.source, source);
    }
}

#[test]
fn events_of_other_containers_do_not_count() {
    let view = view(&pod(|pod| wait(pod, "ImagePullBackOff", BACK_OFF)), None).unwrap();
    let mut other = event("Failed", X509, "2026-08-20T12:05:00Z");
    other.container = Some("side".to_owned());
    let mut own = event("Failed", NOT_FOUND, "2026-08-20T12:00:00Z");
    own.container = Some("app".to_owned());
    own.count = 7;
    let told = told(&view, &[other, own]);
    assert_eq!(told.first().unwrap().cause, Cause::TagNotFound);
    assert_eq!((told.tries, told.last), (7, "2026-08-20T12:00:00Z".parse().ok()));
}

#[test]
fn secrets_that_kubelet_missed_are_names() {
    let view = view(&pod(|_| {}), None).unwrap();
    let of = |message: &str| {
        let event = event("FailedToRetrieveImagePullSecret", message, "2026-08-20T12:00:00Z");
        told(&view, &[event]).missing
    };
    let text = |names: &str| {
        format!(
            "Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        )
    };
    assert_eq!(of(&text("regcred")), ["regcred"]);
    assert_eq!(of(&text("regcred, other.b")), ["regcred", "other.b"]);
    assert_eq!(of(&text("$reboot, a b, ../x, ok")), ["ok"]);
    assert_eq!(of("nothing in brackets"), Vec::<String>::new());
    assert!(of(&text(&vec!["a"; 10_000].join(","))).len() <= 16);
}

#[test]
fn a_pod_that_starts_is_read_by_its_events() {
    let starting = pod(|pod| {
        wait(pod, "ContainerCreating", "");
    });
    let view = view(&starting, Some("app")).unwrap();
    let sandbox = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image \
        \"registry.example/pause:3.10\": failed to pull image \"registry.example/pause:3.10\": failed to resolve \
        reference: dial tcp 10.1.1.1:443: i/o timeout";
    let told_of = |reason: &str, message: &str| {
        let events = [event(reason, message, "2026-08-20T12:00:00Z")];
        told(&view, &events).first().map(|first| first.cause)
    };
    assert_eq!(
        told_of("FailedCreatePodSandBox", sandbox),
        Some(Cause::SandboxImagePull)
    );
    let mount = "MountVolume.SetUp failed for volume \"x\" : configmap \"x\" not found";
    assert_eq!(told_of("FailedMount", mount), Some(Cause::NotImageProblem));
    assert_eq!(
        told_of("Pulling", "Pulling image \"reg.example/team/app:1\""),
        None
    );
}

#[test]
fn a_flood_is_bounded() {
    let huge = "x".repeat(1 << 20);
    let view = view(&pod(|pod| wait(pod, "ErrImagePull", &huge)), None).unwrap();
    let events: Vec<Event> = (0..5000).map(|_| event("Failed", "\u{1b}[2Jnoise", "")).collect();
    let told = told(&view, &events);
    assert!(
        told.ranked
            .iter()
            .all(|ranked| ranked.evidence.chars().count() <= 161)
    );
}
