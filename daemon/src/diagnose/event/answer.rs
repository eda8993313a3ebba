//! The report on a message: what it says, and what to do about it.
//!
//! Commands hold the image that the caller named and placeholders in capitals, never a text out
//! of the message.

use super::{Hop, Ranked, best};
use crate::diagnose::causes::about;
use crate::report::{Alternative, Cause, Check, CheckStatus, Confidence, DiagnoseReport, Fix, Verdict};

/// Reads `text`, a message or a page of events, into a report.
pub(in crate::diagnose) fn answer(image: Option<&str>, text: &str) -> DiagnoseReport {
    let reading = best(text);
    let reference = image.and_then(|image| image.parse::<syncd_config::Reference>().ok());
    let asked = image.map_or_else(|| "message".to_owned(), syncd_config::text::clean);
    let Some(first) = reading.ranked.first() else {
        return unknown(asked);
    };
    let named = reference.map_or_else(|| "IMAGE".to_owned(), |reference| reference.to_string());
    let alternatives = reading.ranked.iter().skip(1).map(|ranked| Alternative {
        cause: ranked.cause,
        confidence: ranked.confidence,
    });
    let mut fixes = fixes(first.cause, &named);
    if first.confidence != Confidence::Certain
        && let Some(other) = reading.ranked.get(1)
    {
        fixes.extend(instead(other.cause, &named));
    }
    DiagnoseReport {
        image: asked,
        pod: None,
        verdict: Verdict {
            cause: first.cause,
            confidence: first.confidence,
            summary: summary(first),
            evidence: first.evidence.clone(),
        },
        alternatives: alternatives.collect(),
        checks: vec![check(first)],
        fixes,
    }
}

fn unknown(asked: String) -> DiagnoseReport {
    DiagnoseReport {
        image: asked,
        pod: None,
        verdict: Verdict {
            cause: Cause::Unknown,
            confidence: Confidence::Possible,
            summary: "The text says nothing about the pull of an image.".to_owned(),
            evidence: String::new(),
        },
        alternatives: Vec::new(),
        checks: vec![Check {
            id: "message".to_owned(),
            category: "message".to_owned(),
            status: CheckStatus::Skip,
            claim: "the text names a cause".to_owned(),
            detail: "no words in it that kubelet or a runtime says about a pull".to_owned(),
            hint: String::new(),
        }],
        fixes: vec![show_events()],
    }
}

fn check(first: &Ranked) -> Check {
    let step = match first.hop {
        Hop::Api => " (registry)",
        Hop::Token => " (token)",
        Hop::Manifest => " (manifest)",
        Hop::Blob => " (blob)",
        Hop::Mirror => " (mirror)",
        Hop::Sandbox => " (pause image)",
        Hop::Node => " (node)",
        Hop::Unknown => "",
    };
    Check {
        id: "message".to_owned(),
        category: "message".to_owned(),
        status: CheckStatus::Fail,
        claim: "the text names a cause".to_owned(),
        detail: format!("{}{step}", first.evidence),
        hint: String::new(),
    }
}

fn summary(first: &Ranked) -> String {
    let title = about(first.cause).title;
    let mut text: String = title.chars().take(1).flat_map(char::to_uppercase).collect();
    text.push_str(title.get(1..).unwrap_or_default());
    if let Some(place) = &first.place {
        text.push_str(&format!("; the host that failed is {place}"));
    }
    text.push('.');
    text
}

fn say(text: &str) -> Fix {
    Fix {
        text: text.to_owned(),
        command: None,
        destructive: false,
    }
}

fn show_events() -> Fix {
    Fix {
        command: Some("kubectl describe pod POD -n NAMESPACE".to_owned()),
        ..say("Read what the node says about the pod.")
    }
}

/// What to do; the first line comes with its command.
pub(in crate::diagnose) fn fixes(cause: Cause, image: &str) -> Vec<Fix> {
    let mut out: Vec<Fix> = about(cause).remedy.iter().map(|line| say(line)).collect();
    for fix in &mut out {
        fix.destructive = takes_away(&fix.text);
    }
    let command = command(cause, image);
    if let (Some(command), Some(first)) = (command, out.first_mut()) {
        first.command = Some(command);
    }
    if let Some((text, command)) = taking_away(cause, image) {
        let at = usize::from(cause != Cause::LocalStoreCorrupt);
        out.retain(|fix| !fix.text.starts_with("Take the image out"));
        let fix = Fix {
            text: text.to_owned(),
            command: Some(command),
            destructive: true,
        };
        out.insert(at.min(out.len()), fix);
    }
    if decides(cause) {
        out.push(Fix {
            command: Some(format!("syncd diagnose {image}")),
            ..say("Ask the registry: its answer tells these causes apart.")
        });
    }
    out
}

/// The first remedy of another cause that is as likely.
fn instead(cause: Cause, image: &str) -> Option<Fix> {
    let line = about(cause).remedy.first()?;
    Some(Fix {
        text: format!("If it is {cause}: {line}"),
        command: command(cause, image),
        destructive: takes_away(line),
    })
}

/// Causes between which only the registry can tell.
fn decides(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::RepoNotFound
            | Cause::TagNotFound
            | Cause::AuthMissing
            | Cause::AuthWrongCredentials
            | Cause::AuthTokenExpired
            | Cause::PermissionDenied
            | Cause::BlockedByPolicy
            | Cause::MirrorFault
            | Cause::PlatformMismatch
            | Cause::NoCauseInMessage
    )
}

/// The command of the first remedy.
fn command(cause: Cause, image: &str) -> Option<String> {
    let fixed = match cause {
        Cause::AuthMissing | Cause::SecretMissing => {
            "kubectl create secret generic pull-secret -n NAMESPACE \
             --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson=config.json"
        }
        Cause::SecretMisconfigured => "kubectl get secret SECRET -n NAMESPACE -o jsonpath={.type}",
        Cause::CredentialProviderFailed => "journalctl -u kubelet --since -1h",
        Cause::DiskFull => "df -h && df -i",
        Cause::RuntimeUnavailable => "systemctl status containerd",
        Cause::RuntimeMisconfigured => "journalctl -u containerd --since -1h",
        Cause::PullCanceled => "containerd config dump",
        Cause::ProxyError => "systemctl show containerd --property=Environment",
        Cause::DnsFailure => "cat /etc/resolv.conf",
        Cause::NetworkUnreachable => "ip route",
        Cause::NoCauseInMessage | Cause::NotImageProblem => "kubectl describe pod POD -n NAMESPACE",
        Cause::MirrorFault => "syncd sync mirror",
        Cause::ImageNeverPull => "ctr -n k8s.io images import IMAGE.tar",
        Cause::SandboxImagePull => "crictl pull PAUSE_IMAGE",
        Cause::TlsCertTime => "date -u",
        Cause::PlatformMismatch => return Some(format!("skopeo inspect --raw docker://{image}")),
        Cause::TagNotFound => return Some(format!("skopeo list-tags docker://{}", untagged(image))),
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The starts of remedies that take something away.
const TAKES_AWAY: [&str; 3] = [
    "Delete the damaged image",
    "If other images fail alike, drain",
    "Take the image out",
];

fn takes_away(line: &str) -> bool {
    TAKES_AWAY.iter().any(|start| line.starts_with(start))
}

/// A step that takes something away, with its command.
fn taking_away(cause: Cause, image: &str) -> Option<(&'static str, String)> {
    match cause {
        Cause::LocalStoreCorrupt => Some((
            "Take the image out of the node's store; the next pull brings it again.",
            format!("crictl rmi {image}"),
        )),
        Cause::DiskFull => Some((
            "Take images out of the node that no container uses.",
            "crictl rmi --prune".to_owned(),
        )),
        _ => None,
    }
}

/// Without the tag or digest.
fn untagged(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}
