//! The scheduled tasks of the daemon.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::credentials::{self, CredentialTask};
use super::follow::Follow;
use super::frame::Frame;
use super::mirror::{self, MirrorTask};
use super::reload::{Follower, TableOf};
use super::{Contexts, RunOptions};
use crate::control::Commands;
use crate::schedule::{self, Task};

/// The scheduled tasks, and what commands may ask of them.
pub(super) struct Tasks {
    pub(super) followers: Vec<Follower>,
    pub(super) commands: Commands,
}

pub(super) fn register(options: &RunOptions, frame: &mut Frame, context: &Contexts) -> Tasks {
    let (ended, mirrored) = watch::channel(0);
    let mirror = Arc::new(MirrorTask::new(
        context.subscribe(),
        frame.sources.mirror.clone(),
        ended,
        Arc::clone(&options.notify),
    ));
    let credentials = Arc::new(CredentialTask::new(
        context.subscribe(),
        frame.sources.credentials.clone(),
        mirrored.clone(),
        Arc::clone(&options.notify),
        options.clock.clone(),
    ));
    let mirror_follower = start(
        options,
        frame,
        context,
        Arc::<MirrorTask>::clone(&mirror),
        mirror::timetable,
    );
    let follower = start(
        options,
        frame,
        context,
        Arc::<CredentialTask>::clone(&credentials),
        credentials::timetable,
    );
    let commands = Commands {
        mirror: mirror.by_hand(mirror_follower.task.clone()),
        credentials: credentials.by_hand(follower.task.clone()),
    };
    frame.spawn(credentials::after_mirror(
        context.subscribe(),
        mirrored.clone(),
        follower.task.clone(),
        frame.stop(),
    ));
    let follow = Follow {
        contexts: context.subscribe(),
        mirrored,
        reports: frame.sources.credentials.clone(),
        task: follower.task.clone(),
        stop: frame.stop(),
    };
    frame.spawn(follow.keep());
    Tasks {
        followers: vec![mirror_follower, follower],
        commands,
    }
}

/// Starts a task's driver.
fn start(
    options: &RunOptions,
    frame: &mut Frame,
    context: &Contexts,
    task: Arc<dyn Task>,
    table_of: TableOf,
) -> Follower {
    let name = task.name();
    let (timetable, timetables) = watch::channel(table_of(&context.borrow().config));
    let (handle, driver) = schedule::spawn(task, timetables, options.clock.clone(), frame.stop());
    frame
        .sources
        .tasks
        .send_modify(|tasks| tasks.push(handle.clone()));
    frame.spawn(async move {
        if driver.await.is_err() {
            error!(
                task = name,
                "its driver ended by a bug: it does not run until syncd is started again"
            );
        }
    });
    Follower {
        task: handle,
        timetable,
        table_of,
    }
}
