//! Taking over a changed configuration while running.
//!
//! The file, and every file it names, is looked at every 10 seconds (by content: editors, mounts
//! and Kubernetes' symlinks all change it in their own way). A bad file never takes effect. What
//! cannot change while running keeps its old value, and that is said.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use syncd_config::config::EmbeddedRegistry;
use syncd_config::{Config, Digest, Loaded};
use syncd_providers::Clock;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::RunOptions;
use super::signals::is_told;
use crate::context::Context;
use crate::registry::Registry;
use crate::report::{Activation, ConfigProblem, ConfigStatus};
use crate::schedule::{TaskHandle, Timetable};
use crate::telemetry::chain;

/// The log target: also a person at the terminal wants to see these.
const LOG: &str = "reload";

const EVERY: Duration = Duration::from_secs(10);

/// The state at the start.
pub(super) fn first_status(file: String, now: Timestamp) -> ConfigStatus {
    ConfigStatus {
        file,
        loaded: now,
        problem: None,
        needs_restart: Vec::new(),
    }
}

/// The timetable that a configuration asks for.
pub(super) type TableOf = fn(&Config) -> Timetable;

/// A task that runs by the configuration.
pub(super) struct Follower {
    pub(super) task: TaskHandle,
    pub(super) timetable: watch::Sender<Timetable>,
    pub(super) table_of: TableOf,
}

/// Those who are given a new configuration.
pub(super) struct Followers {
    pub(super) context: watch::Sender<Arc<Context>>,
    pub(super) tasks: Vec<Follower>,
    pub(super) registry: Option<Arc<Registry>>,
    pub(super) status: watch::Sender<ConfigStatus>,
}

/// Watches the configuration.
pub(super) struct Reload {
    path: PathBuf,
    clock: Clock,
    hash: Digest,
    to: Followers,
}

impl Reload {
    pub(super) fn new(options: &RunOptions, hash: Digest, to: Followers) -> Self {
        Self {
            path: options.config_path.clone(),
            clock: options.clock.clone(),
            hash,
            to,
        }
    }

    /// Looks every 10 seconds, and at once at SIGHUP.
    pub(super) async fn watch(mut self, mut hangup: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = is_told(&mut stop) => return,
                Ok(()) = hangup.changed() => {}
                _ = ticks.tick() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || syncd_config::load(&path)).await;
        match loaded {
            Ok(Ok(loaded)) if loaded.hash == self.hash => self.problem(None),
            Ok(Ok(loaded)) => self.take(loaded),
            Ok(Err(error)) => self.problem(Some(chain(&error))),
            Err(error) => self.problem(Some(format!("failed to read it: {error}"))),
        }
    }

    fn take(&mut self, loaded: Loaded) {
        let Loaded {
            config,
            hash,
            warnings,
            ..
        } = loaded;
        let running = Arc::clone(&self.to.context.borrow().config);
        let (config, needs_restart) = merge(&running, config);
        let next = self.to.context.borrow().with_config(Arc::new(config));
        let context = match next {
            Ok(context) => context,
            Err(error) => return self.problem(Some(chain(&error))),
        };
        for warning in &warnings {
            warn!(target: LOG, %warning, "doubtful in the configuration");
        }
        let trouble = match (&self.to.registry, &context.config.registry) {
            (Some(registry), Some(section)) => registry.reload(section).err(),
            _ => None,
        };
        self.hash = hash;
        for task in &self.to.tasks {
            task.timetable.send_replace((task.table_of)(&context.config));
        }
        self.to.context.send_replace(Arc::new(context));
        let now = self.clock.now();
        if needs_restart.is_empty() {
            info!(target: LOG, "the configuration changed and is in use");
        } else {
            warn!(target: LOG, keys = %needs_restart.join(", "), "the configuration changed and is in use, but for keys that need a restart");
        }
        self.to.status.send_modify(|status| {
            status.loaded = now;
            status.needs_restart = needs_restart;
            status.problem = None;
        });
        if let Some(error) = trouble {
            self.problem(Some(format!(
                "the registry keeps its old files: {}",
                chain(&error)
            )));
        }
        for task in &self.to.tasks {
            task.task.activate(Activation::Change);
        }
    }

    /// Notes a problem, or that there is none; says it once.
    fn problem(&self, message: Option<String>) {
        let known = self
            .to
            .status
            .borrow()
            .problem
            .as_ref()
            .map(|problem| problem.message.clone());
        if known == message {
            return;
        }
        match &message {
            Some(message) => {
                warn!(target: LOG, problem = %message, "the changed configuration is not in use")
            }
            None => info!(target: LOG, "the configuration file is in order again"),
        }
        let since = self.clock.now();
        self.to.status.send_modify(|status| {
            status.problem = message.map(|message| ConfigProblem { since, message });
        });
    }
}

/// The new configuration with the old values of what cannot change while running, and the keys of
/// that.
fn merge(running: &Config, new: Config) -> (Config, Vec<String>) {
    let Config {
        state_dir,
        listen,
        registries,
        credentials,
        mirror,
        registry,
    } = new;
    let mut keys = Vec::new();
    let mut keep = |key: &str, same: bool| {
        if !same {
            keys.push(key.to_owned());
        }
    };
    keep("stateDir", state_dir == running.state_dir);
    keep("listen", listen == running.listen);
    let registry = merge_registry(running.registry.as_ref(), registry, &mut keep);
    let config = Config {
        state_dir: running.state_dir.clone(),
        listen: running.listen,
        registries,
        credentials,
        mirror,
        registry,
    };
    (config, keys)
}

fn merge_registry(
    running: Option<&EmbeddedRegistry>,
    new: Option<EmbeddedRegistry>,
    keep: &mut impl FnMut(&str, bool),
) -> Option<EmbeddedRegistry> {
    let (Some(running), Some(new)) = (running, &new) else {
        keep("registry", running.is_none() && new.is_none());
        return running.cloned();
    };
    let EmbeddedRegistry {
        listen,
        names,
        tls,
        auth,
    } = new;
    keep("registry.listen", *listen == running.listen);
    keep("registry.names", *names == running.names);
    keep("registry.tls", tls.is_some() == running.tls.is_some());
    let switched = tls.is_some() != running.tls.is_some();
    Some(EmbeddedRegistry {
        listen: running.listen,
        names: running.names.clone(),
        tls: if switched {
            running.tls.clone()
        } else {
            tls.clone()
        },
        auth: auth.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::merge;

    const HEAD: &str = "apiVersion: syncd.dev/v1alpha1\nkind: Config\n";

    fn config(body: &str) -> syncd_config::Config {
        let text = format!("{HEAD}{body}");
        syncd_config::parse(text.as_bytes(), "c.yaml", Path::new("/base")).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn what_needs_a_restart_keeps_its_value() {
        let tls = "tls: {certFile: a.crt, keyFile: a.key}";
        let cases: &[(&str, &str, &[&str])] = &[
            ("stateDir: /a", "stateDir: /a", &[]),
            ("stateDir: /a", "stateDir: /b", &["stateDir"]),
            ("listen: 127.0.0.1:1", "listen: 127.0.0.1:2", &["listen"]),
            ("", "registry: {listen: 127.0.0.1:1}", &["registry"]),
            ("registry: {listen: 127.0.0.1:1}", "", &["registry"]),
            (
                "registry: {listen: 127.0.0.1:1}",
                "registry: {listen: 127.0.0.1:2, names: [a.example]}",
                &["registry.listen", "registry.names"],
            ),
            (
                "registry: {listen: 127.0.0.1:1}",
                &format!("registry: {{listen: 127.0.0.1:1, {tls}}}"),
                &["registry.tls"],
            ),
        ];
        for (old, new, expected) in cases {
            let old = config(old);
            let (merged, keys) = merge(&old, config(new));
            assert_eq!(keys, *expected, "{new}");
            assert_eq!(merged, old, "{new}");
        }
    }

    #[test]
    fn the_rest_counts_from_the_next_pass() {
        let old = config("registry: {listen: 127.0.0.1:1}");
        let new = config(
            "registry: {listen: 127.0.0.1:1, auth: {anonymousPull: all}}\n\
             registries: [{host: h.example}]\n\
             mirror: {destination: embedded, images: [docker.io/library/nginx:1]}",
        );
        let (merged, keys) = merge(&old, new.clone());
        assert!(keys.is_empty());
        assert_eq!(merged, new);
    }
}
