//! What to do about a pod, with commands that name it.
//!
//! A command holds names that have passed [`is_name`], parts of a parsed reference, and words of
//! ours; never a value of a secret, and nothing that the cluster or a registry wrote.

use syncd_config::Reference;

use super::api::is_name;
use super::creds::{Creds, Unfit};
use super::gather::Gathered;
use super::join::{Family, Joined, Seen, Story, family};
use crate::diagnose::causes::about;
use crate::diagnose::event;
use crate::diagnose::facts::Facts;
use crate::report::{Cause, Confidence, Fix};

fn say(text: impl Into<String>) -> Fix {
    Fix {
        text: text.into(),
        command: None,
        destructive: false,
    }
}

fn run(text: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix {
        command: Some(command.into()),
        ..say(text)
    }
}

fn destroy(text: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix {
        destructive: true,
        ..run(text, command)
    }
}

/// What to do, the likeliest first.
pub(super) fn fixes(gathered: &Gathered, joined: &Joined, image: &str) -> Vec<Fix> {
    let reference: Option<Reference> = image.parse().ok();
    let mut out = match (joined.finding.cause, &reference) {
        (Cause::None, _) => return Vec::new(),
        (Cause::Unknown, _) => vec![describe(gathered)],
        (Cause::SecretMissing, Some(reference)) => missing(gathered, reference),
        (Cause::SecretMisconfigured, Some(reference)) => misconfigured(gathered, reference),
        (Cause::AuthMissing, Some(reference)) => auth_missing(gathered, reference),
        (Cause::AuthWrongCredentials | Cause::AuthTokenExpired, Some(reference)) => {
            credential(gathered, joined, reference)
        }
        (Cause::NotImageProblem | Cause::NoCauseInMessage, _) => {
            let mut out: Vec<Fix> = about(joined.finding.cause)
                .remedy
                .iter()
                .map(|line| say(*line))
                .collect();
            out.insert(0, describe(gathered));
            out
        }
        _ => general(gathered, joined, image),
    };
    if let Creds::Unread { names } = &gathered.creds
        && joined.finding.confidence < Confidence::Certain
    {
        out.extend(names.iter().filter(|name| is_name(name)).take(1).map(|name| {
            run(
                "Let this command read the pod's pull secrets, then ask again.",
                format!(
                    "kubectl auth can-i get secrets/{name} -n {}",
                    gathered.view.namespace
                ),
            )
        }));
    }
    let may_pass = matches!(family(joined.finding.cause), Family::Access)
        || joined.finding.cause == Cause::NoCauseInMessage;
    if may_pass && joined.story == Story::WorksFromHere && matches!(gathered.seen(), Seen::Works) {
        out.insert(0, wait());
    }
    out
}

fn wait() -> Fix {
    say("Wait up to 5 minutes: kubelet tries again by itself, and may find it mended.")
}

fn describe(gathered: &Gathered) -> Fix {
    let (namespace, name) = (&gathered.view.namespace, &gathered.view.name);
    run(
        "Read what the node says about the pod.",
        format!("kubectl describe pod {name} -n {namespace}"),
    )
}

/// Making the pod again is how it gets new pull secrets.
fn again(gathered: &Gathered) -> Fix {
    let (namespace, name) = (&gathered.view.namespace, &gathered.view.name);
    if gathered.view.owned {
        destroy(
            "Make the pod again: its owner does, once it is deleted.",
            format!("kubectl delete pod {name} -n {namespace}"),
        )
    } else {
        say(
            "Make the pod again: its pull secrets were chosen when it was made. Nothing makes it again by itself.",
        )
    }
}

/// The key under which kubelet looks for the image's registry.
fn key(reference: &Reference) -> String {
    reference.host.auth_keys().into_iter().next().unwrap_or_default()
}

fn create(gathered: &Gathered, name: &str) -> String {
    format!(
        "kubectl create secret docker-registry {name} -n {} --from-file=.dockerconfigjson=config.json",
        gathered.view.namespace
    )
}

/// In place, so that its uid stays, and without leaving the content in an annotation.
fn replace(gathered: &Gathered, name: &str) -> String {
    format!(
        "{} --dry-run=client -o yaml | kubectl replace -f -",
        create(gathered, name)
    )
}

fn keep(reference: &Reference, gathered: &Gathered) -> Fix {
    say(format!(
        "Or let syncd keep it: a `registries` entry for {}, and a target in `credentials` for namespace {}.",
        reference.host, gathered.view.namespace
    ))
}

fn missing(gathered: &Gathered, reference: &Reference) -> Vec<Fix> {
    let names = match &gathered.creds {
        Creds::Missing { names } => names,
        _ => &gathered.told.missing,
    };
    let mut out: Vec<Fix> = names
        .iter()
        .filter(|name| is_name(name))
        .take(3)
        .map(|name| {
            run(
                format!(
                    "Make `{name}` in the pod's own namespace, from a docker config.json with the key `{}`. \
                     A secret of this name in another namespace does not count.",
                    key(reference)
                ),
                create(gathered, name),
            )
        })
        .collect();
    out.push(say(
        "If the name is misspelt: correct `imagePullSecrets` in what the pod is made from.",
    ));
    out.push(keep(reference, gathered));
    out
}

fn misconfigured(gathered: &Gathered, reference: &Reference) -> Vec<Fix> {
    let key = key(reference);
    match &gathered.creds {
        Creds::Malformed { secret, .. } if is_name(secret) => vec![
            run(
                format!("Write `{secret}` again, from a docker config.json with the key `{key}`."),
                replace(gathered, secret),
            ),
            keep(reference, gathered),
        ],
        Creds::Unfit { secrets } => {
            let mut out = Vec::new();
            for unfit in secrets.iter().filter(|unfit| is_name(&unfit.secret)).take(2) {
                out.extend(refit(gathered, unfit, &key));
            }
            out.push(keep(reference, gathered));
            out
        }
        _ => about(Cause::SecretMisconfigured)
            .remedy
            .iter()
            .map(|line| say(*line))
            .collect(),
    }
}

fn refit(gathered: &Gathered, unfit: &Unfit, key: &str) -> Vec<Fix> {
    let name = &unfit.secret;
    if unfit.wrong_type {
        return vec![
            destroy(
                format!("Delete `{name}`: the type of a secret cannot be changed."),
                format!("kubectl delete secret {name} -n {}", gathered.view.namespace),
            ),
            run(
                format!("Make it again, from a docker config.json with the key `{key}`."),
                create(gathered, name),
            ),
        ];
    }
    let key = unfit.key.as_deref().unwrap_or(key);
    vec![run(
        format!(
            "If `{name}` is meant for this registry: write it with the key `{key}`, exactly so, from a \
             docker config.json."
        ),
        replace(gathered, name),
    )]
}

fn auth_missing(gathered: &Gathered, reference: &Reference) -> Vec<Fix> {
    let later = match &gathered.creds {
        Creds::Unnamed { later } => later,
        _ => return general_remedies(Cause::AuthMissing),
    };
    if !later.is_empty() {
        return vec![again(gathered)];
    }
    let namespace = &gathered.view.namespace;
    let mut out = vec![run(
        format!(
            "Make a pull secret in the pod's namespace, from a docker config.json with the key `{}`.",
            key(reference)
        ),
        create(gathered, "pull-secret"),
    )];
    // With others in it, such a patch could take them away.
    if gathered.account.is_ok() && is_name(&gathered.view.account) {
        out.push(run(
            "Name it in the service account; pods that are made after that have it.",
            format!(
                "kubectl patch serviceaccount {} -n {namespace} -p '{{\"imagePullSecrets\":[{{\"name\":\"pull-secret\"}}]}}'",
                gathered.view.account
            ),
        ));
    }
    out.push(again(gathered));
    out.push(keep(reference, gathered));
    out
}

fn general_remedies(cause: Cause) -> Vec<Fix> {
    about(cause).remedy.iter().map(|line| say(*line)).collect()
}

fn credential(gathered: &Gathered, joined: &Joined, reference: &Reference) -> Vec<Fix> {
    let Some(login) = gathered.creds.first() else {
        return general_remedies(joined.finding.cause);
    };
    let mut out = Vec::new();
    if login.by_syncd {
        out.push(run(
            "syncd keeps this secret: have it renewed.",
            "syncd sync credentials",
        ));
    }
    if is_name(&login.secret) {
        out.push(run(
            format!(
                "Write `{}` with a good user and password or token under the key `{}`.",
                login.secret, login.key
            ),
            replace(gathered, &login.secret),
        ));
    }
    if joined.finding.cause == Cause::AuthTokenExpired && !login.by_syncd {
        out.push(keep(reference, gathered));
    }
    out.push(say(
        "If the image is public: take the pull secret out, for kubelet never asks without one that fits.",
    ));
    out
}

/// The remedies of the cause, with the pod's names in the commands.
fn general(gathered: &Gathered, joined: &Joined, image: &str) -> Vec<Fix> {
    if joined.finding.cause == Cause::InvalidReference {
        let platform = crate::diagnose::this_platform();
        let facts = Facts::new(&gathered.view.container.image, platform);
        if facts.reference.is_err() {
            return crate::diagnose::fixes::fixes(&joined.finding, &facts);
        }
    }
    let from_probe = matches!(joined.story, Story::Probe | Story::Confirmed);
    if joined.finding.cause == Cause::ImageNeverPull && gathered.node.has_image() == Some(true) {
        return vec![
            say(
                "Give the pod a pull secret with which the image may be pulled, and imagePullPolicy IfNotPresent: \
                 kubelet then asks the registry once whether this pod may have it.",
            ),
            say("Or load the image into the node's store by hand: what was not pulled is not asked about."),
        ];
    }
    if let (true, Some(facts)) = (from_probe, gathered.facts()) {
        return crate::diagnose::fixes::fixes(&joined.finding, facts);
    }
    let (namespace, name) = (&gathered.view.namespace, &gathered.view.name);
    let mut out = event::fixes(joined.finding.cause, image);
    for command in out.iter_mut().filter_map(|fix| fix.command.as_mut()) {
        *command = command.replace("-n NAMESPACE", &format!("-n {namespace}"));
        *command = command.replace("pod POD", &format!("pod {name}"));
    }
    out
}
