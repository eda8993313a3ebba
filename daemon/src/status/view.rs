//! The state of the daemon, as the status pages, the metrics and the control socket read it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::report::{ConfigStatus, CredentialReport, DaemonReport, MirrorReport, TasksReport};
use crate::schedule::TaskHandle;

/// One condition of readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyCheck {
    /// What is asked.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// All conditions of readiness. A registry or a cloud that does not answer is none of them: it
/// must not take a working daemon out of service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready(Vec<ReadyCheck>);

impl Ready {
    /// Notes how `name` stands; its first mention fixes its place.
    pub fn set(&mut self, name: &'static str, ok: bool, detail: impl Into<String>) {
        let detail = detail.into();
        match self.0.iter_mut().find(|check| check.name == name) {
            Some(check) => {
                check.ok = ok;
                check.detail = detail;
            }
            None => self.0.push(ReadyCheck { name, ok, detail }),
        }
    }

    /// Whether all hold.
    #[must_use]
    pub fn all(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|check| check.ok)
    }

    /// The conditions in order.
    #[must_use]
    pub fn checks(&self) -> &[ReadyCheck] {
        &self.0
    }
}

/// What the embedded registry has served since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests.
    pub requests: Vec<ServedCount>,
    /// Bytes of blobs sent.
    pub sent: u64,
    /// Bytes of blobs and manifests received.
    pub received: u64,
    /// Connections open now.
    pub connections: u64,
}

/// One counter of requests; every word is of a closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCount {
    /// `GET`, … or `other`.
    pub method: &'static str,
    /// `ping`, `manifest`, `blob`, `upload`, `list` or `other`.
    pub route: &'static str,
    /// `2xx`, `3xx`, `4xx` or `5xx`.
    pub status: &'static str,
    /// How many.
    pub count: u64,
}

/// Where the state is written.
#[derive(Debug)]
pub struct ViewSources {
    /// The configuration's state.
    pub config: watch::Sender<ConfigStatus>,
    /// Readiness.
    pub ready: watch::Sender<Ready>,
    /// The tasks, once they are registered.
    pub tasks: watch::Sender<Vec<TaskHandle>>,
    /// The last mirror pass that ended.
    pub mirror: watch::Sender<Option<Arc<MirrorReport>>>,
    /// The last credential pass that ended, with what was written since.
    pub credentials: watch::Sender<Option<Arc<CredentialReport>>>,
}

/// What is counted elsewhere and read when somebody looks.
#[derive(Clone)]
pub struct Counters {
    /// What the embedded registry has served; `None` while it does not run.
    pub served: Arc<dyn Fn() -> Option<Served> + Send + Sync>,
    /// Entries of `registries` by name, with the tokens asked for since the daemon started.
    pub mints: Arc<dyn Fn() -> Vec<(String, u64)> + Send + Sync>,
}

impl Default for Counters {
    /// Nothing is counted.
    fn default() -> Self {
        Self {
            served: Arc::new(|| None),
            mints: Arc::new(Vec::new),
        }
    }
}

/// Where the state is read.
#[derive(Clone)]
pub struct View {
    /// syncd's version.
    pub version: &'static str,
    /// Since when the daemon runs.
    pub started: Timestamp,
    /// The configuration's state.
    pub config: watch::Receiver<ConfigStatus>,
    /// Readiness.
    pub ready: watch::Receiver<Ready>,
    /// The tasks.
    pub tasks: watch::Receiver<Vec<TaskHandle>>,
    /// The last mirror pass.
    pub mirror: watch::Receiver<Option<Arc<MirrorReport>>>,
    /// The last credential pass.
    pub credentials: watch::Receiver<Option<Arc<CredentialReport>>>,
    /// What is counted elsewhere.
    pub counters: Counters,
}

impl View {
    /// A view and the places where its state is written.
    pub fn new(started: Timestamp, config: ConfigStatus, counters: Counters) -> (Self, ViewSources) {
        let (config, config_seen) = watch::channel(config);
        let (ready, ready_seen) = watch::channel(Ready::default());
        let (tasks, tasks_seen) = watch::channel(Vec::new());
        let (mirror, mirror_seen) = watch::channel(None);
        let (credentials, credentials_seen) = watch::channel(None);
        let view = Self {
            version: env!("CARGO_PKG_VERSION"),
            started,
            config: config_seen,
            ready: ready_seen,
            tasks: tasks_seen,
            mirror: mirror_seen,
            credentials: credentials_seen,
            counters,
        };
        let sources = ViewSources {
            config,
            ready,
            tasks,
            mirror,
            credentials,
        };
        (view, sources)
    }

    /// Everything.
    #[must_use]
    pub fn report(&self) -> DaemonReport {
        let TasksReport { config, tasks } = self.tasks_report();
        DaemonReport {
            version: self.version.to_owned(),
            pid: std::process::id(),
            started: self.started,
            config,
            tasks,
            mirror: self.mirror.borrow().as_deref().cloned(),
            credentials: self.credentials.borrow().as_deref().cloned(),
        }
    }

    /// The tasks and the configuration they run with.
    #[must_use]
    pub fn tasks_report(&self) -> TasksReport {
        TasksReport {
            config: self.config.borrow().clone(),
            tasks: self.tasks.borrow().iter().map(TaskHandle::status).collect(),
        }
    }
}
