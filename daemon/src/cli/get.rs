//! `syncd get`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use syncd_config::LoadError;

use super::exit::Exit;
use super::form::{self, Form};
use super::output::{self, Failure};
use super::tables::{Changes, CredentialView};
use super::{HELP, Session, config, server, tables};
use crate::app::mirror_summary;
use crate::control::{Client, ControlError};
use crate::report::{DaemonReport, TasksReport};

const DEFAULT_STATE_DIR: &str = "/var/lib/syncd";

/// Show what the running daemon knows
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
credentials: what is published for each registry, until when, and whether it
was seen to pull; and the secrets and files that are not well. mirror: the
images of the last mirror pass. tasks: what runs when and how it ended, and
whether the configuration file is in use. Asks the daemon over the socket in
its `stateDir`, or with --server over its status listener.")]
#[command(after_help = "\
Examples:
  syncd get credentials
  syncd get credentials -o wide         with proofs, times, every target
  syncd get mirror
  syncd get mirror -o wide              with sources, whole digests, reasons
  syncd get tasks
  syncd get mirror -o json --server http://127.0.0.1:8080")]
pub(super) struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
    /// Ask the status listener at this URL instead of the socket
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Credentials,
    Mirror,
    Tasks,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let report = match &args.server {
        Some(url) => server::report(url).await?,
        None => from_socket(session).await?,
    };
    match args.what {
        What::Credentials => credentials(session, args.output, &report),
        What::Mirror => mirror(session, args.output, &report),
        What::Tasks => tasks(session, args.output, report),
    }
}

async fn from_socket(session: &Session) -> Result<DaemonReport, Failure> {
    let path = session.config_path();
    let state_dir = match syncd_config::load(&path) {
        Ok(loaded) => loaded.config.state_dir,
        // The daemon goes on with what it had, and this is how to see that.
        Err(error @ LoadError::Invalid(_)) => match ask_in(&guessed_state_dir(&path)).await {
            Ok(report) => return Ok(report),
            Err(_unreachable) => return Err(config::failure(error)),
        },
        Err(error) => return Err(config::failure(error)),
    };
    ask_in(&state_dir).await.map_err(|error| {
        let down = matches!(error, ControlError::Connect { .. });
        let failure = Failure::new(if down { Exit::NotReachable } else { Exit::Undecided }, error);
        match down {
            true => failure.hint("is the daemon running, with this configuration? `syncd run` starts it"),
            false => failure,
        }
    })
}

async fn ask_in(state_dir: &Path) -> Result<DaemonReport, ControlError> {
    Client::new(state_dir).report().await
}

/// The `stateDir` of a file that cannot be read as a configuration, as its line has it.
fn guessed_state_dir(path: &Path) -> PathBuf {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("stateDir:"));
    let value = line.map_or("", |value| value.split(" #").next().unwrap_or_default());
    match value.trim().trim_matches(['"', '\'']) {
        "" => PathBuf::from(DEFAULT_STATE_DIR),
        dir => path.parent().unwrap_or(Path::new("")).join(dir),
    }
}

fn mirror(session: &Session, form: Form, report: &DaemonReport) -> Result<Exit, Failure> {
    let now = session.clock.now();
    let Some(mirror) = &report.mirror else {
        return Err(none_yet("mirror"));
    };
    form::print_mirror(mirror, form, session.talk.color_out)?;
    if form.is_table() {
        let when = tables::relative(mirror.started, now);
        output::print(&format!("\nlast pass: {when}, {}\n", mirror_summary(mirror)))?;
    }
    Ok(Exit::Done)
}

fn credentials(session: &Session, form: Form, report: &DaemonReport) -> Result<Exit, Failure> {
    let Some(credentials) = &report.credentials else {
        return Err(none_yet("credential"));
    };
    let view = CredentialView {
        wide: form == Form::Wide,
        color: session.talk.color_out,
        now: session.clock.now(),
        changes: Changes::Counted,
    };
    form::print_credentials(credentials, form, view)?;
    if form.is_table() {
        let when = tables::relative(credentials.started, view.now);
        output::print(&format!("\nlast pass: {when}\n"))?;
    }
    Ok(Exit::Done)
}

fn none_yet(what: &str) -> Failure {
    let text = format!("no {what} pass has ended yet since the daemon started");
    Failure::new(Exit::Undecided, text).hint("`syncd get tasks` says what it is doing")
}

fn tasks(session: &Session, form: Form, report: DaemonReport) -> Result<Exit, Failure> {
    let DaemonReport { config, tasks, .. } = report;
    let report = TasksReport { config, tasks };
    match form {
        Form::Json => output::print_json(&report)?,
        Form::Yaml => output::print_yaml(&report)?,
        Form::Name => {
            let lines = report.tasks.iter().map(|task| format!("{}\n", task.name));
            output::print(&lines.collect::<String>())?;
        }
        Form::Table | Form::Wide => {
            let now = session.clock.now();
            output::print(&tables::tasks(
                &report,
                form == Form::Wide,
                now,
                session.talk.color_out,
            ))?;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::guessed_state_dir;

    #[test]
    fn the_state_dir_of_a_broken_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.yaml");
        for (text, expected) in [
            ("a: [\nstateDir: state # here\n", dir.path().join("state")),
            ("stateDir: \"/abs/x\"\n", "/abs/x".into()),
            ("  stateDir: nested\n", "/var/lib/syncd".into()),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(guessed_state_dir(&file), expected);
        }
    }
}
