//! `syncd get`.

use clap::ValueEnum;

use super::exit::Exit;
use super::output::{self, Failure};
use super::{HELP, Session, config, server, tables};
use crate::app::mirror_summary;
use crate::control::{Client, ControlError};
use crate::report::{DaemonReport, MirrorReport, TasksReport};

/// Show what the running daemon knows
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
mirror: the images of the last mirror pass. tasks: what runs when and how it
ended, and whether the configuration file is in use. Asks the daemon over the
socket in its `stateDir`, or with --server over its status listener.")]
#[command(after_help = "\
Examples:
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
    Mirror,
    Tasks,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let report = match &args.server {
        Some(url) => server::report(url).await?,
        None => from_socket(session).await?,
    };
    match args.what {
        What::Mirror => mirror(session, args.output, &report),
        What::Tasks => tasks(session, args.output, report),
    }
}

async fn from_socket(session: &Session) -> Result<DaemonReport, Failure> {
    let config = config::load(session)?.config;
    let client = Client::new(&config.state_dir);
    client.report().await.map_err(|error| {
        let down = matches!(error, ControlError::Connect { .. });
        let failure = Failure::new(if down { Exit::NotReachable } else { Exit::Undecided }, error);
        match down {
            true => failure.hint("is the daemon running, with this configuration? `syncd run` starts it"),
            false => failure,
        }
    })
}

fn mirror(session: &Session, form: Form, report: &DaemonReport) -> Result<Exit, Failure> {
    let now = session.clock.now();
    let Some(mirror) = &report.mirror else {
        let failure = Failure::new(
            Exit::Undecided,
            "no mirror pass has ended yet since the daemon started",
        );
        return Err(failure.hint("`syncd get tasks` says what it is doing"));
    };
    match form {
        Form::Json => output::print_json(mirror)?,
        Form::Yaml => output::print_yaml(mirror)?,
        Form::Name => output::print(&names(mirror))?,
        Form::Table | Form::Wide => {
            let text = tables::mirror(mirror, form == Form::Wide, session.talk.color_out);
            output::print(&text)?;
            let when = tables::relative(mirror.started, now);
            output::print(&format!(
                "
last pass: {when}, {}
",
                mirror_summary(mirror)
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn names(mirror: &MirrorReport) -> String {
    let lines = mirror
        .images
        .iter()
        .map(|image| format!("{}\n", image.destination));
    lines.collect()
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
