//! The work between passes: listens, looks and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use syncd_config::config::{CredentialTarget, TargetPlace};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::view::View;
use super::{End, Ended, FollowNotice, Literal, literal};
use crate::cluster::{Cluster, ClusterError, NamespaceMeta, SecretMeta, WatchEvent, Watched};
use crate::credentials::apply::{Change, Done, Work};
use crate::credentials::content::Published;
use crate::credentials::gather::{self, AT_ONCE};
use crate::credentials::inventory::Key;
use crate::credentials::pass::row;
use crate::credentials::plan::{Rules, Seen, Step, judge};
use crate::credentials::record::{contents, perform, store};
use crate::credentials::{CredentialContext, words};
use crate::report::{TargetOutcome, TargetReport};
use crate::tokens::LastGood;

/// How often a literal namespace is looked at…
const POLL: Duration = Duration::from_secs(10);
/// …at the least for each secret: two requests.
const POLL_EACH: Duration = Duration::from_millis(400);
/// When a secret that could not be written, or is contested, is looked at again.
const AGAIN_FAILED: Duration = Duration::from_secs(30);
const AGAIN_CONTESTED: Duration = Duration::from_secs(10 * 60);
/// The most secrets that are handled before the watches are listened to again.
const BATCH: usize = 256;

/// What a watch told.
enum Heard {
    Namespace(Result<WatchEvent<NamespaceMeta>, ClusterError>),
    Secret(String, Result<WatchEvent<SecretMeta>, ClusterError>),
}

type Watches = SelectAll<stream::BoxStream<'static, Heard>>;

pub(super) struct Follower<'a> {
    context: &'a CredentialContext,
    cluster: &'a Cluster,
    targets: &'a [CredentialTarget],
    view: View<'a>,
    /// What is published, made of these credentials.
    contents: Option<(Arc<LastGood>, Arc<[Published]>)>,
    /// When what did not work is looked at again.
    again: BTreeMap<Key, Instant>,
    /// The last thing that a watch complained of.
    trouble: Option<String>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        context: &'a CredentialContext,
        cluster: &'a Cluster,
        targets: &'a [CredentialTarget],
    ) -> Self {
        Self {
            context,
            cluster,
            targets,
            view: View::new(targets),
            contents: None,
            again: BTreeMap::new(),
            trouble: None,
        }
    }

    /// Listens to the watches.
    pub(super) async fn watch(
        &mut self,
        notify: &(impl Fn(FollowNotice) + Sync),
        end: &mut End<'_>,
    ) -> Ended {
        let mut watches = self.watches();
        loop {
            let retry = self.again.values().min().copied();
            tokio::select! {
                ended = end.wait() => return ended,
                () = until(retry) => self.due_again(),
                heard = watches.next() => match heard {
                    Some(heard) => self.hear(heard).await,
                    // Watches do not end; without any there is nothing to do but to wait.
                    None => return end.wait().await,
                },
            }
            let mut taken = 1;
            while taken < BATCH
                && let Some(Some(heard)) = watches.next().now_or_never()
            {
                self.hear(heard).await;
                taken += 1;
            }
            if self.view.take_unselected() {
                notify(FollowNotice::PassWanted);
            }
            let due = self.view.take_due();
            self.settle(due, notify).await;
        }
    }

    fn watches(&self) -> Watches {
        let mut watches = SelectAll::new();
        watches.push(self.cluster.watch_namespaces().map(Heard::Namespace).boxed());
        let names: BTreeSet<&String> = self
            .targets
            .iter()
            .filter_map(|target| match &target.place {
                TargetPlace::Kubernetes(place) => Some(&place.secret),
                TargetPlace::File { .. } => None,
            })
            .collect();
        for name in names {
            let events = self.cluster.watch_secrets(Watched::All, name);
            let name = name.clone();
            watches.push(
                events
                    .map(move |event| Heard::Secret(name.clone(), event))
                    .boxed(),
            );
        }
        watches
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Namespace(Ok(event)) => self.view.namespace(event),
            Heard::Secret(name, Ok(event)) => {
                let contents = self.contents().await;
                let owner = self.cluster.own_namespace();
                self.view.secret(&name, event, &contents, owner);
            }
            Heard::Namespace(Err(error)) | Heard::Secret(_, Err(error)) => {
                let error = words(&error);
                if self.trouble.as_ref() != Some(&error) {
                    warn!(%error, "a watch was interrupted and goes on");
                    self.trouble = Some(error);
                }
            }
        }
    }

    /// Looks at each literal name from time to time.
    pub(super) async fn poll(
        &mut self,
        keys: &BTreeSet<Key>,
        notify: &(impl Fn(FollowNotice) + Sync),
        end: &mut End<'_>,
    ) -> Ended {
        let many = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let period = POLL.max(POLL_EACH.saturating_mul(many));
        loop {
            tokio::select! {
                ended = end.wait() => return ended,
                () = tokio::time::sleep(period) => {}
            }
            let now = Instant::now();
            self.again.retain(|_, at| *at > now);
            let waiting = keys.iter().filter(|key| !self.again.contains_key(key));
            let due = waiting.cloned().collect();
            self.settle(due, notify).await;
        }
    }

    fn due_again(&mut self) {
        let now = Instant::now();
        let due: Vec<Key> = self
            .again
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            self.again.remove(&key);
            self.view.look_again(key);
        }
    }

    /// What is published now, by the place of the target; made anew when a pass published something.
    async fn contents(&mut self) -> Arc<[Published]> {
        let (good, _) = self.context.state.good(&self.context.last_good).await;
        if let Some((of, contents)) = &self.contents
            && Arc::ptr_eq(of, &good)
        {
            return Arc::clone(contents);
        }
        let owner = self.cluster.own_namespace();
        let contents: Arc<[Published]> = contents(self.context, self.targets, &good, owner).into();
        self.contents = Some((good, Arc::clone(&contents)));
        contents
    }

    /// Looks at these secrets and puts them right.
    async fn settle(&mut self, due: BTreeSet<Key>, notify: &(impl Fn(FollowNotice) + Sync)) {
        if due.is_empty() {
            return;
        }
        let seen = self.look(due).await;
        let state = &self.context.state;
        let mut writes = state.turn().await;
        for namespace in self.view.take_gone() {
            writes.memory.forget_namespace(&namespace);
        }
        // After the turn has come: a pass may have published meanwhile.
        let published = self.contents().await;
        let now = self.context.clock.now();
        let rules = Rules {
            owner: self.cluster.own_namespace(),
            memory: &writes.memory,
            now,
        };
        let steps: Vec<Step> = seen
            .into_iter()
            .filter_map(|(key, target, seen)| {
                // Where there is nothing to publish, the pass says so.
                let content = published.get(target).filter(|content| is_ready(content))?;
                let judgement = judge(&key, &seen, content, &rules);
                let target = Some(target);
                Some(Step {
                    key,
                    target,
                    judgement,
                })
            })
            .collect();
        if steps.is_empty() {
            return;
        }
        let work = Work {
            cluster: self.cluster,
            owner: self.cluster.own_namespace(),
            published: &published,
            now,
        };
        let store = store(self.context);
        let mut problems = Vec::new();
        let (done, told) = perform(work, self.targets, steps, &store, &mut writes, &mut problems).await;
        drop(writes);
        for problem in problems {
            warn!(error = %problem, "the inventory could not be kept");
        }
        self.try_again(&done);
        let news = done
            .into_iter()
            .filter(|done| done.change != Change::Nothing || told.contains(&done.key));
        let rows: Vec<TargetReport> = news.map(|done| row(&done.key, done.judgement)).collect();
        if !rows.is_empty() {
            notify(FollowNotice::Changed(rows));
        }
    }

    /// What is in the places of these secrets, as far as targets want them.
    async fn look(&self, due: BTreeSet<Key>) -> Vec<(Key, usize, Seen)> {
        let wanted = due.into_iter().filter_map(|key| {
            let target = self.target_of(&key)?;
            // A new namespace waits for no question: that there is something after all shows when the
            // secret is made.
            let absent = self.view.is_absent(&key);
            Some((key, target, absent))
        });
        let wanted: Vec<_> = wanted.collect();
        stream::iter(wanted)
            .map(|(key, target, absent)| async move {
                let seen = match absent {
                    true => Seen::Absent { namespace: true },
                    false => gather::look(self.cluster, &key).await,
                };
                (key, target, seen)
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    fn target_of(&self, key: &Key) -> Option<usize> {
        let named = self.targets.iter().position(|target| match &target.place {
            TargetPlace::Kubernetes(place) => {
                let names = place.namespaces.literal();
                place.secret == key.secret
                    && names.is_some_and(|names| names.contains(&key.namespace.as_str()))
            }
            TargetPlace::File { .. } => false,
        });
        match self.view.target_of(key) {
            Some(watched) => Some(watched),
            None if matches!(literal(self.targets), Literal::Only(_)) => named,
            None => None,
        }
    }

    fn try_again(&mut self, done: &[Done]) {
        let now = Instant::now();
        for done in done {
            let judgement = &done.judgement;
            let wait = match (judgement.outcome, judgement.kind.as_deref()) {
                (TargetOutcome::Failed, _) => AGAIN_FAILED,
                (TargetOutcome::Refused, Some("contested")) => AGAIN_CONTESTED,
                _ => continue,
            };
            self.again.insert(done.key.clone(), now + wait);
        }
    }
}

fn is_ready(published: &Published) -> bool {
    matches!(published, Published::Ready(_))
}

/// The time, or for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
