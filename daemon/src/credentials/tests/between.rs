//! Between passes, against an API that runs in this process.

use std::sync::Arc;

use tokio::sync::watch;

use super::pass::{World, password_in};
use super::*;
use crate::credentials::{CredentialContext, FollowNotice, follow};
use crate::report::TargetOutcome;

/// Runs `follow` beside a test until it ends.
struct Following {
    notices: tokio::sync::mpsc::UnboundedReceiver<FollowNotice>,
    _contexts: watch::Sender<Arc<CredentialContext>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Following {
    fn start(context: &CredentialContext) -> Self {
        let (contexts, context) = watch::channel(Arc::new(context.clone()));
        let (stop, stopping) = watch::channel(false);
        let (sender, notices) = tokio::sync::mpsc::unbounded_channel();
        let notify = move |notice| sender.send(notice).unwrap();
        let task = tokio::spawn(follow(context, notify, stopping));
        Self {
            notices,
            _contexts: contexts,
            stop,
            task,
        }
    }

    /// The next rows that were told, within a minute.
    async fn rows(&mut self) -> Vec<crate::report::TargetReport> {
        let minute = std::time::Duration::from_secs(60);
        match tokio::time::timeout(minute, self.notices.recv()).await {
            Ok(Some(FollowNotice::Changed(rows))) => rows,
            other => panic!("a change, and not {other:?}"),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_literal_namespace_that_is_made_later_is_found() {
    let world = World::with(target(&["team-a", "team-b"], &["a"]), |_| {});
    world.api.has_namespace("team-a", "x");
    world.pass().await;
    world.api.writes();
    let mints = world.context.tokens.state("a").unwrap().mints;
    let mut following = Following::start(&world.context);
    world.api.has_namespace("team-b", "x");
    let begun = tokio::time::Instant::now();
    let Some(FollowNotice::Changed(rows)) = following.notices.recv().await else {
        panic!("a change");
    };
    assert!(begun.elapsed() <= std::time::Duration::from_secs(11));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].outcome, TargetOutcome::Created);
    assert_eq!(world.api.writes(), ["POST team-b/secrets"]);
    assert_eq!(world.api.content("team-b"), world.api.content("team-a"));
    assert_eq!(world.context.tokens.state("a").unwrap().mints, mints);
    following.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_deleted_again_and_again_is_left_alone_and_said() {
    let world = World::with(target(&["team-a"], &["a"]), |_| {});
    world.api.has_namespace("team-a", "x");
    world.pass().await;
    let mut following = Following::start(&world.context);
    for _ in 0..3 {
        world.api.delete("team-a");
        let Some(FollowNotice::Changed(rows)) = following.notices.recv().await else {
            panic!("a change");
        };
        assert_eq!(rows[0].outcome, TargetOutcome::Created);
        assert_eq!(rows[0].reason, "it was deleted by someone else");
    }
    world.api.delete("team-a");
    let Some(FollowNotice::Changed(rows)) = following.notices.recv().await else {
        panic!("a change");
    };
    assert_eq!(rows[0].kind.as_deref(), Some("contested"));
    assert_eq!(world.api.secret("team-a"), None);
    following.end().await;
}

#[tokio::test(start_paused = true)]
async fn before_the_first_pass_the_last_good_serve() {
    let mut world = World::with(target(&["team-a", "team-b"], &["a"]), |_| {});
    world.api.has_namespace("team-a", "x");
    world.pass().await;
    world.restart();
    let listed = std::fs::read_to_string(world.dir.path().join("state/inventory.json")).unwrap();
    world.api.has_namespace("team-b", "x");
    let mut following = Following::start(&world.context);
    assert!(matches!(
        following.notices.recv().await,
        Some(FollowNotice::Changed(_))
    ));
    assert_eq!(password_in(&world.api, "team-b"), "one");
    assert_eq!(world.context.tokens.state("a").unwrap().mints, 0);
    following.end().await;
    let now = std::fs::read_to_string(world.dir.path().join("state/inventory.json")).unwrap();
    assert!(
        listed.contains("team-a") && now.contains("team-a") && now.contains("team-b"),
        "{now}"
    );
}

#[tokio::test(start_paused = true)]
async fn with_nothing_published_the_pass_does_the_talking() {
    let world = World::with(target(&["team-a"], &["a"]), |_| {});
    world.api.has_namespace("team-a", "x");
    let mut following = Following::start(&world.context);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(following.notices.try_recv().is_err());
    assert_eq!(world.api.events(), Vec::<String>::new());
    assert_eq!(world.api.writes(), Vec::<String>::new());
    assert!(world.api.reads() > 0, "it looked");
    following.end().await;
}

#[tokio::test(start_paused = true)]
async fn by_watch_a_new_namespace_is_served_at_once_and_without_a_token() {
    let world = World::new();
    world.api.has_namespace("team-a", "private");
    world.pass().await;
    let mints = world.context.tokens.state("a").unwrap().mints;
    let mut following = Following::start(&world.context);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.api.writes();
    world.api.reads();
    let begun = tokio::time::Instant::now();
    world.api.has_namespace("team-b", "private");
    world.api.has_namespace("team-c", "public");
    let rows = following.rows().await;
    assert!(begun.elapsed() < std::time::Duration::from_millis(100));
    assert_eq!((rows.len(), rows[0].outcome), (1, TargetOutcome::Created));
    assert_eq!(world.api.writes(), ["POST team-b/secrets"]);
    assert_eq!(world.api.reads(), 0, "nothing is asked first");
    assert_eq!(world.api.content("team-b"), world.api.content("team-a"));
    // A label is as good as a new namespace, and an edit is undone.
    world.api.relabel("team-c", "private");
    assert_eq!(following.rows().await[0].namespace.as_deref(), Some("team-c"));
    world.api.edit("team-a");
    assert_eq!(following.rows().await[0].reason, "it was changed by kubectl-edit");
    assert_eq!(password_in(&world.api, "team-a"), "one");
    assert_eq!(world.context.tokens.state("a").unwrap().mints, mints);
    // One that leaves is a pass's to remove.
    world.api.relabel("team-c", "public");
    assert_eq!(following.notices.recv().await, Some(FollowNotice::PassWanted));
    following.end().await;
}

#[tokio::test(start_paused = true)]
async fn by_watch_a_namespace_that_is_made_again_and_again_is_no_contest() {
    let world = World::new();
    world.pass().await;
    let mut following = Following::start(&world.context);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for _ in 0..6 {
        world.api.has_namespace("team-a", "private");
        let rows = following.rows().await;
        assert_eq!(rows[0].outcome, TargetOutcome::Created, "{rows:?}");
        world.api.drop_namespace("team-a");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    following.end().await;
}
