//! Between passes: a namespace that is made, or newly selected, gets its secret at once, and a secret
//! that others deleted or changed is restored. All from what is published: nobody is asked for a
//! token.
//!
//! - With globs or labels among the targets, by watches of all namespaces and of the secrets of each
//!   target's name (metadata only).
//! - With literal names only, by looking at each of them every ten seconds: that needs no right
//!   beyond the named namespaces and none to watch. With more than 25 secrets less often, so that it
//!   stays at 5 requests a second.
//! - What others change back three times within ten minutes is left alone for that time.

mod view;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use syncd_config::config::{CredentialTarget, TargetPlace};
use tokio::sync::watch;

#[cfg(test)]
pub(super) use self::view::View;
use self::work::Follower;
use super::CredentialContext;
use super::inventory::Key;
use crate::report::TargetReport;

/// What happened between passes.
#[derive(Clone, Debug, PartialEq)]
pub enum FollowNotice {
    /// Secrets that were written, or of which something new is to be said.
    Changed(Vec<TargetReport>),
    /// A namespace left a target: only a pass removes.
    PassWanted,
}

/// Serves new namespaces and restores what others change, by the newest of `contexts`, until `stop`
/// is true. Costs nothing while no target asks for a cluster.
pub async fn follow(
    mut contexts: watch::Receiver<Arc<CredentialContext>>,
    notify: impl Fn(FollowNotice) + Send + Sync,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let context = Arc::clone(&contexts.borrow_and_update());
        let mut end = End {
            contexts: &mut contexts,
            stop: &mut stop,
        };
        match one(&context, &notify, &mut end).await {
            Ended::NewContext => {}
            Ended::Stop => return,
        }
    }
}

enum Ended {
    NewContext,
    Stop,
}

/// What ends the work by one context.
struct End<'a> {
    contexts: &'a mut watch::Receiver<Arc<CredentialContext>>,
    stop: &'a mut watch::Receiver<bool>,
}

impl End<'_> {
    async fn wait(&mut self) -> Ended {
        let stopped = async {
            // An error means that nobody is left who could say so: that is the end as well.
            let _gone = self.stop.wait_for(|stop| *stop).await.is_err();
        };
        tokio::select! {
            () = stopped => Ended::Stop,
            changed = self.contexts.changed() => match changed {
                Ok(()) => Ended::NewContext,
                Err(_) => Ended::Stop,
            },
        }
    }
}

/// Works by one context until it is replaced. What was begun is ended: the end is waited for only
/// between events.
async fn one(
    context: &CredentialContext,
    notify: &(impl Fn(FollowNotice) + Send + Sync),
    end: &mut End<'_>,
) -> Ended {
    let targets = match &context.config.credentials {
        Some(credentials) => credentials.targets.as_slice(),
        None => &[],
    };
    let Some(Ok(cluster)) = &context.cluster else {
        return end.wait().await;
    };
    let mut follower = Follower::new(context, cluster, targets);
    match literal(targets) {
        Literal::Only(keys) if keys.is_empty() => end.wait().await,
        Literal::Only(keys) => follower.poll(&keys, notify, end).await,
        Literal::No => follower.watch(notify, end).await,
    }
}

enum Literal {
    /// All targets name their namespaces: these secrets.
    Only(BTreeSet<Key>),
    No,
}

fn literal(targets: &[CredentialTarget]) -> Literal {
    let mut keys = BTreeSet::new();
    for target in targets {
        let TargetPlace::Kubernetes(place) = &target.place else {
            continue;
        };
        let Some(names) = place.namespaces.literal() else {
            return Literal::No;
        };
        keys.extend(names.into_iter().map(|name| Key {
            namespace: name.to_owned(),
            secret: place.secret.clone(),
        }));
    }
    Literal::Only(keys)
}
