//! `syncd config`.

use std::path::PathBuf;

use clap::Subcommand;
use syncd_config::{LoadError, Loaded};

use super::Session;
use super::exit::Exit;
use super::output::{self, Failure};

/// Check, show and explain the configuration
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncd config example > config.yaml         start from a commented example
  syncd config check config.yaml             all problems of a file, in one run
  syncd config show --config config.yaml     with all defaults, without secrets
  syncd config schema > syncd.schema.json    for your editor")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with a configuration; exit 2 if anything is
    Check {
        /// The file [default: the one that every command would use]
        file: Option<PathBuf>,
    },
    /// Print the configuration as syncd understands it, defaults included
    Show,
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a whole commented configuration to start from
    Example,
}

pub(super) fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check { file } => {
            let path = file.clone().unwrap_or_else(|| session.config_path());
            let loaded = load_from(&path, session)?;
            let doubts = match loaded.warnings.len() {
                0 => "no problems".to_owned(),
                1 => "usable, with 1 warning".to_owned(),
                more => format!("usable, with {more} warnings"),
            };
            output::print(&format!("{}: {doubts}\n", path.display()))?;
        }
        Command::Show => output::print(&with_end(syncd_config::show(&load(session)?.config)))?,
        Command::Schema => output::print_json(&syncd_config::schema())?,
        Command::Example => output::print(syncd_config::EXAMPLE)?,
    }
    Ok(Exit::Done)
}

fn with_end(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The configuration of this session; its warnings go to standard error.
pub(super) fn load(session: &Session) -> Result<Loaded, Failure> {
    load_from(&session.config_path(), session)
}

fn load_from(path: &std::path::Path, session: &Session) -> Result<Loaded, Failure> {
    let loaded = syncd_config::load(path).map_err(failure)?;
    for warning in &loaded.warnings {
        session.talk.say(&warning.to_string());
    }
    Ok(loaded)
}

/// Prints all problems with their places, and sums them up in the failure.
pub(super) fn failure(error: LoadError) -> Failure {
    let hint = error.hint();
    let failure = match error {
        LoadError::Invalid(problems) => {
            output::to_stderr(&format!("{problems}\n"));
            let file = problems
                .0
                .first()
                .map_or("the configuration", |problem| problem.file.as_str());
            let count = match problems.0.len() {
                1 => "a problem".to_owned(),
                more => format!("{more} problems"),
            };
            Failure::new(Exit::Usage, format!("{file} has {count}; nothing was done"))
        }
        error => Failure::new(Exit::Usage, error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
