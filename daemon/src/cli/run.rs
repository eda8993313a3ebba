//! `syncd run`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use syncd_config::Config;

use super::cluster::ClusterArgs;
use super::exit::Exit;
use super::output::Failure;
use super::tables::{Changes, CredentialView};
use super::{HELP, Session, config, tables};
use crate::app::{self, Notice, RunOptions, StartError, credential_summary, mirror_summary};
use crate::report::{CredentialReport, ImageOutcome, MirrorReport};
use crate::telemetry::{Form, SAY};

/// Run the daemon: keep credentials, mirror, serve the registry, answer commands
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
Mirrors once at the start, then at the times of `mirror.schedule`. Keeps
credentials fresh: each is renewed long before it ends, and new namespaces get
theirs at once. Takes over a changed configuration or password while running:
it looks every 10 seconds, and at SIGHUP. Stops in order at SIGTERM or Ctrl-C, at once at the second one. Prints
plain lines on a terminal, JSON log entries elsewhere.")]
#[command(after_help = "\
Examples:
  syncd run --config config/examples/quickstart.yaml
  SYNCD_CONFIG=/etc/syncd/config.yaml syncd run")]
pub(super) struct Args {
    /// How long to wait for another process to let the store go, in seconds
    #[arg(long, hide = true, default_value_t = 60, value_name = "SECONDS")]
    lock_wait: u64,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let options = RunOptions {
        config_path: session.config_path(),
        lock_wait: Duration::from_secs(args.lock_wait),
        cluster: args.cluster.options(),
        clock: session.clock.clone(),
        notify: Arc::new(notifier(session)),
    };
    app::run(options).await.map_err(start_failure)?;
    Ok(Exit::Done)
}

fn start_failure(error: StartError) -> Failure {
    let hint = error.hint();
    tracing::debug!(kind = error.kind(), "could not start");
    let failure = match error {
        StartError::Config(error) => return config::failure(error),
        error => Failure::new(Exit::Undecided, error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Says it to the person at the terminal; off a terminal the same is a log line.
fn notifier(session: &Session) -> impl Fn(Notice<'_>) + Send + Sync + 'static {
    let command = own_command(session);
    let form = Form::of_stderr();
    let clock = session.clock.clone();
    move |notice| match notice {
        Notice::Warnings(problems) => {
            for problem in problems {
                tracing::warn!(target: SAY, "{problem}");
            }
        }
        Notice::Waiting(holder) => tracing::info!(target: SAY, "Waiting for the store: {holder}."),
        Notice::Ready(config) => {
            tracing::info!(target: SAY, status = %config.listen, "{}", ready_text(config));
        }
        Notice::FirstPass(config, report) => {
            tracing::info!(target: SAY, "{}", first_pass_text(config, report, &command));
        }
        // The log has an entry of its own about it.
        Notice::Pass(..) | Notice::Credentials(..) if form == Form::Json => {}
        Notice::Pass(why, report) => {
            let why = why.as_str();
            tracing::info!(target: SAY, why, "A mirror pass has ended ({why}). {}.", mirror_summary(report));
        }
        Notice::Credentials(why, report) => {
            let why = why.as_str();
            let text = credential_text(report, clock.now());
            tracing::info!(target: SAY, why, "A credential pass has ended ({why}). {text}");
        }
        Notice::Stopping => tracing::info!(target: SAY, "Stopping."),
    }
}

/// How this program was called, for commands to paste.
fn own_command(session: &Session) -> String {
    let program = std::env::args_os()
        .next()
        .map_or_else(|| "syncd".to_owned(), |name| name.to_string_lossy().into_owned());
    match &session.config {
        Some(path) => format!("{program} --config {}", path.display()),
        None => program,
    }
}

fn ready_text(config: &Config) -> String {
    let mut text = format!(
        "syncd {} serves (process {}).\n  status    http://{}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        config.listen
    );
    if let Some(registry) = &config.registry {
        let scheme = if registry.tls.is_some() { "https" } else { "http" };
        text.push_str(&format!("\n  registry  {scheme}://{}", registry.listen));
    }
    text.push_str(&format!("\n  state     {}", config.state_dir.display()));
    if config.mirror.is_none() {
        text.push_str("\nNothing is mirrored: the configuration has no `mirror`.");
    }
    text
}

/// The sums, and what is not well.
fn credential_text(report: &CredentialReport, now: Timestamp) -> String {
    let view = CredentialView {
        wide: false,
        color: false,
        now,
        changes: Changes::Counted,
    };
    let troubles = tables::credential_troubles(report, view);
    format!("{}.\n{troubles}", credential_summary(report))
        .trim_end()
        .to_owned()
}

fn first_pass_text(config: &Config, report: &MirrorReport, command: &str) -> String {
    let mut text = format!("The first mirror pass has ended. {}.\n", mirror_summary(report));
    text.push_str(&tables::mirror(report, false, false));
    text.push_str("\nTry next, in another terminal:\n");
    let good = |outcome| matches!(outcome, ImageOutcome::Copied | ImageOutcome::Present);
    let shortest = report
        .images
        .iter()
        .filter(|image| good(image.outcome))
        .map(|image| image.destination.as_str())
        .min_by_key(|destination| destination.len());
    if let Some(image) = shortest {
        text.push_str(&format!("  {command} diagnose {image}\n"));
        text.push_str(&format!("  {command} diagnose {}\n", misspelt(image)));
    }
    text.push_str(&format!("  {command} get mirror\n"));
    if config.credentials.is_some() {
        text.push_str(&format!("  {command} get credentials\n"));
    }
    text.push_str(&format!("  curl http://{}/api/v1/report\n", config.listen));
    text.push_str("Stop with Ctrl-C.");
    text
}

/// The same image with a tag that is not there.
fn misspelt(image: &str) -> String {
    match image.split_once('@') {
        Some((name, _digest)) => format!("{name}:misspelt"),
        None => format!("{image}-misspelt"),
    }
}

#[cfg(test)]
mod tests {
    use super::misspelt;

    #[test]
    fn a_misspelt_image_is_still_a_reference() {
        assert_eq!(
            misspelt("127.0.0.1:5050/hello:1"),
            "127.0.0.1:5050/hello:1-misspelt"
        );
        assert_eq!(misspelt("h.example/a@sha256:ab"), "h.example/a:misspelt");
    }
}
