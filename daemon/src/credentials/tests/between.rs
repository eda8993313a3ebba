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
