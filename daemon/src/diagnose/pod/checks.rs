//! One check for each thing that was looked at.

use syncd_config::text::clean_to;

use super::creds::{Creds, listed};
use super::freshness::Freshness;
use super::gather::Gathered;
use super::join::Seen;
use super::node::NodeSeen;
use super::view::State;
use crate::diagnose::checks::examine;
use crate::report::{Cause, Check, CheckStatus};

use CheckStatus::{Fail, Pass, Skip, Warn};

/// All checks: the pod's, its secrets', the node's, then the registry's and the mirror's.
pub(super) fn checks(gathered: &Gathered) -> Vec<Check> {
    let mut out = vec![state(gathered), message(gathered)];
    if let Err(why) = &gathered.events {
        let hint = "Without events only the pod's status tells what failed.";
        out.push(
            check("pod.events", "the pod's events can be read", Warn, why)
                .hint(hint)
                .of("pod"),
        );
    }
    out.extend(secrets(gathered).into_iter().map(|check| check.of("secrets")));
    out.extend(node(gathered).into_iter().map(|check| check.of("node")));
    match &gathered.probed {
        Err(why) => {
            let claim = "the registry answers the pod's credential";
            out.push(check("registry", claim, Skip, &format!("not asked: {why}")).of("registry"));
        }
        Ok(probed) => {
            let claim = "the registry was asked as the node asks it";
            let reached = !matches!(probed.seen, Seen::Unreached(_));
            let asked = if reached { "asked" } else { "tried" };
            let mut detail = match &probed.secret {
                Some(secret) => format!("{asked} from this machine with pull secret `{secret}`"),
                None => format!("{asked} from this machine without a credential"),
            };
            if !probed.refused.is_empty() {
                detail.push_str(&format!("; it refused {} before", listed(&probed.refused)));
            }
            detail.push_str("; the node's own path, trust and mirrors were not tested");
            let status = if reached { Pass } else { Warn };
            out.push(check("registry", claim, status, &detail).of("registry"));
            out.extend(examine(&probed.facts).checks);
        }
    }
    out
}

fn check(id: &str, claim: &str, status: CheckStatus, detail: &str) -> Check {
    Check {
        id: id.to_owned(),
        category: String::new(),
        status,
        claim: claim.to_owned(),
        detail: detail.to_owned(),
        hint: String::new(),
    }
}

impl Check {
    fn of(mut self, category: &str) -> Self {
        category.clone_into(&mut self.category);
        self
    }

    fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }
}

fn state(gathered: &Gathered) -> Check {
    let view = &gathered.view;
    let claim = format!("container `{}` starts", clean_to(&view.container.name, 63));
    let mut detail = match &view.container.state {
        _ if view.stuck.is_some() => "no container of the pod was started".to_owned(),
        State::Pulling { reason, .. } | State::Stuck { reason, .. } => clean_to(reason, 63),
        State::Starting => "it was not started yet".to_owned(),
        State::Well => "it has its image and was started".to_owned(),
    };
    if gathered.told.tries > 1 {
        detail.push_str(&format!("; the pull failed {} times", gathered.told.tries));
    }
    if let Some(last) = gathered.told.last {
        let ago = super::freshness::span(gathered.now.duration_since(last));
        detail.push_str(&format!(", last {ago} ago"));
    }
    if view.others > 0 {
        let others = crate::diagnose::checks::counted(view.others, "other container");
        detail.push_str(&format!("; {others} of the pod cannot pull either (--container)"));
    }
    let status = match &view.container.state {
        State::Well if view.stuck.is_none() => Pass,
        State::Starting if view.stuck.is_none() => Skip,
        _ => Fail,
    };
    check("pod.state", &claim, status, &detail).of("pod")
}

fn message(gathered: &Gathered) -> Check {
    let claim = "the node says why";
    let id = "pod.message";
    let check = match gathered.told.first() {
        None => check(id, claim, Skip, "nothing that names a cause"),
        Some(first) if first.cause == Cause::NoCauseInMessage => {
            let detail = format!("{} holds no cause", gathered.told.source);
            check(id, claim, Warn, &detail)
        }
        Some(first) => {
            let detail = format!("{} ({})", first.evidence, gathered.told.source);
            check(id, claim, Fail, &detail)
        }
    };
    check.of("pod")
}

fn secrets(gathered: &Gathered) -> Vec<Check> {
    let claim = "a pull secret of the pod fits the image";
    let fit = |status, detail: &str| check("secrets.fit", claim, status, detail);
    let mut out = vec![match &gathered.creds {
        Creds::Unnamed { later } => unnamed(gathered, later),
        Creds::Sent(_) => fit(Pass, &gathered.creds.told()),
        Creds::Unjudged => fit(Skip, "the image's name is no reference"),
        Creds::Unread { .. } => fit(Skip, "one that could not be read may"),
        Creds::Malformed { .. } => fit(
            Fail,
            &format!("{}; every pull of the pod fails", gathered.creds.told()),
        ),
        Creds::Missing { .. } | Creds::Unfit { .. } => fit(
            Fail,
            "none does: kubelet asks the registry without a credential of the pod",
        ),
    }];
    for note in gathered.secrets.iter().filter(|note| !note.fits) {
        let detail = format!("`{}`: {}", clean_to(&note.secret, 80), note.words);
        out.push(check(
            "secrets.each",
            "the pull secret fits the image",
            Warn,
            &detail,
        ));
    }
    for login in gathered.creds.logins().iter().take(3) {
        let mut detail = format!("`{}`: {}", login.secret, login.freshness.told(gathered.now));
        if login.by_syncd {
            detail.push_str("; syncd keeps it");
        }
        let status = match login.freshness {
            Freshness::Unknown => Skip,
            Freshness::Until(_) => Pass,
            Freshness::Expired(_) | Freshness::Old { .. } => Fail,
        };
        out.push(check(
            "secrets.fresh",
            "its credential is within its time",
            status,
            &detail,
        ));
    }
    out
}

fn unnamed(gathered: &Gathered, later: &[String]) -> Check {
    let id = "secrets.fit";
    let claim = "a pull secret of the pod fits the image";
    let account = clean_to(&gathered.view.account, 80);
    match (&gathered.account, later) {
        (Err(why), _) => {
            let detail = format!("the pod names none; its account's were not seen: {why}");
            check(id, claim, Skip, &detail)
        }
        (Ok(()), []) => {
            let detail = format!("the pod names none, nor does its service account `{account}`");
            check(id, claim, Skip, &detail)
        }
        (Ok(()), later) => {
            let detail = format!(
                "the pod names none; its service account `{account}` has {} now",
                listed(later)
            );
            let hint = "A pod gets its account's pull secrets only when it is made.";
            check(id, claim, Warn, &detail).hint(hint)
        }
    }
}

fn node(gathered: &Gathered) -> Vec<Check> {
    let claim = "the node can be read";
    match &gathered.node {
        NodeSeen::Unscheduled => vec![check("node", claim, Skip, "the pod has no node yet")],
        NodeSeen::Unread(why) => {
            let hint = "The platform of this machine was assumed; --platform names another.";
            vec![check("node", claim, Warn, why).hint(hint)]
        }
        NodeSeen::Seen(node) => {
            let platform = match &node.platform {
                Some(platform) => platform.to_string(),
                None => "an unknown platform".to_owned(),
            };
            let name = clean_to(&node.name, 80);
            let detail = format!("{name} is {platform}, {}", node.runtime);
            let there = match node.has_image {
                true => "it lists the image among those it has",
                false => "it does not list the image among those it has",
            };
            let image = "the node has the image already";
            vec![
                check("node", claim, Pass, &detail),
                check(
                    "node.image",
                    image,
                    if node.has_image { Pass } else { Skip },
                    there,
                ),
            ]
        }
    }
}
