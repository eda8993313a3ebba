//! The command line: what a person types, and what they see.
//!
//! One file a verb. Data goes to standard output (with `-o json` exactly one document), everything
//! else to standard error; how the process ends is decided in [`exit`] alone.

mod cluster;
mod config;
mod diagnose;
mod diagnose_pod;
pub mod diagnose_text;
pub mod exit;
mod explain;
mod form;
mod get;
mod output;
mod pasted;
mod progress;
mod run;
mod server;
mod sync;
mod tables;
mod yaml;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use syncd_providers::Clock;

use crate::telemetry::{self, Form, Verbosity};
use exit::Exit;
use output::{Color, Failure, Talk};

const DEFAULT_CONFIG: &str = "/etc/syncd/config.yaml";
const SHARED: &str = "Options of every command";
/// As clap's own, with the explanation (`before_help`) behind the first line: `-h` and `--help`
/// then say the same, in short.
const HELP: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Keeps image pulls working: mirrors images into a registry of its own or any
/// other, serves them, and says why a pull fails
#[derive(Debug, Parser)]
#[command(name = "syncd", bin_name = "syncd", version, disable_help_subcommand = true)]
#[command(
    term_width = 80,
    after_help = "\
Examples:
  syncd run --config config/examples/quickstart.yaml
  syncd sync mirror --dry-run
  syncd diagnose docker.io/library/nginx:1.27

Exit codes: 0 done, 1 the answer is \"not well\", 2 usage or configuration,
3 could not decide or start, 4 not permitted, 5 not reachable or not found,
6 partly done, 7 a digest or a size is wrong."
)]
pub struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Global {
    /// The configuration [default: $SYNCD_CONFIG, else /etc/syncd/config.yaml]
    #[arg(long, global = true, value_name = "FILE", help_heading = SHARED)]
    config: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(short, long, global = true, help_heading = SHARED)]
    quiet: bool,
    /// Say more; -vv says everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = SHARED)]
    verbose: u8,
    /// When to use colour; auto heeds NO_COLOR
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, help_heading = SHARED)]
    color: Color,
    /// No progress bars and no progress lines
    #[arg(long, global = true, help_heading = SHARED)]
    no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Sync(sync::Args),
    Diagnose(diagnose::Args),
    Explain(explain::Args),
    Get(get::Args),
    Config(config::Args),
    /// Print the version
    Version,
}

/// What every verb is given.
struct Session {
    config: Option<PathBuf>,
    talk: Talk,
    progress: bool,
    clock: Clock,
}

impl Session {
    /// The configuration file: as asked for, else from the environment, else the usual place.
    fn config_path(&self) -> PathBuf {
        let chosen = self.config.clone();
        chosen
            .or_else(|| std::env::var_os("SYNCD_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG))
    }

    /// Whether somebody chose a file, which then must be there.
    fn config_chosen(&self) -> bool {
        self.config.is_some() || std::env::var_os("SYNCD_CONFIG").is_some()
    }
}

/// Reads the command line; `Err` when the process ends here (help, version, a wrong word).
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, ExitCode> {
    let args: Vec<OsString> = args.into_iter().collect();
    let color = match asked_color(&args) {
        Color::Auto => clap::ColorChoice::Auto,
        Color::Always => clap::ColorChoice::Always,
        Color::Never => clap::ColorChoice::Never,
    };
    Args::command()
        .color(color)
        .try_get_matches_from(args)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| {
            let _gone = error.print();
            if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            }
        })
}

/// `--color`, before the command line is parsed: errors about it have a colour too.
fn asked_color(args: &[OsString]) -> Color {
    let mut words = args.iter().filter_map(|arg| arg.to_str());
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        match value {
            Some("always") => return Color::Always,
            Some("never") => return Color::Never,
            _ => {}
        }
    }
    Color::Auto
}

impl Args {
    /// Starts logging as this command wants it.
    pub fn start_telemetry(&self) {
        let verbosity = match (self.global.quiet, self.global.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Trace,
        };
        let daemon = matches!(self.command, Command::Run(_));
        let form = if daemon { Form::of_stderr() } else { Form::Lines };
        telemetry::init(verbosity, daemon, form, self.talk().color_err);
    }

    fn talk(&self) -> Talk {
        Talk::new(self.global.quiet, self.global.color)
    }

    /// Does what was asked. `clock` is the wall clock.
    pub async fn execute(self, clock: Clock) -> ExitCode {
        let talk = self.talk();
        let session = Session {
            config: self.global.config,
            talk,
            progress: !self.global.no_progress && !self.global.quiet,
            clock,
        };
        let ended = match self.command {
            Command::Run(args) => run::run(&session, &args).await,
            Command::Sync(args) => sync::run(&session, &args).await,
            Command::Diagnose(args) => diagnose::run(&session, &args).await,
            Command::Explain(args) => explain::run(&args),
            Command::Get(args) => get::run(&session, &args).await,
            Command::Config(args) => config::run(&session, &args),
            Command::Version => version(),
        };
        ended
            .unwrap_or_else(|failure| output::fail(&failure, talk))
            .into()
    }
}

/// The end when even the runtime does not start.
#[must_use]
pub fn no_runtime(error: std::io::Error) -> ExitCode {
    let failure =
        Failure::new(Exit::Undecided, error).hint("too few threads or file handles for this process?");
    output::fail(&failure, Talk::new(false, Color::Auto)).into()
}

fn version() -> Result<Exit, Failure> {
    output::print(concat!("syncd ", env!("CARGO_PKG_VERSION"), "\n"))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
