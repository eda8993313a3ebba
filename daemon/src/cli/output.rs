//! Data to standard output, talk to standard error.

use std::error::Error;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::exit::Exit;
use super::yaml;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that ends the process with `exit`.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: error.into(),
            hint: None,
        }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Undecided, error)
    }
}

/// When to use colour. `Auto`: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How a command talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    /// Say nothing but errors.
    pub quiet: bool,
    /// Colour on standard output.
    pub color_out: bool,
    /// Colour on standard error.
    pub color_err: bool,
}

impl Talk {
    pub(crate) fn new(quiet: bool, color: Color) -> Self {
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            // no-color.org: set and not empty.
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            quiet,
            color_out: wanted(std::io::stdout().is_terminal()),
            color_err: wanted(std::io::stderr().is_terminal()),
        }
    }

    /// A line for the person, on standard error.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            to_stderr(line);
        }
    }
}

/// A line on standard error, also when quiet.
pub(crate) fn to_stderr(line: &str) {
    // Nobody is left to be told when standard error is gone.
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}

/// Colours by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bad,
    Warn,
    Help,
    Strong,
}

/// `text` in the colour, when there is colour.
pub(crate) fn paint(color: bool, paint: Paint, text: &str) -> String {
    if !color || text.is_empty() {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Bad => "1;31",
        Paint::Warn => "33",
        Paint::Help => "36",
        Paint::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Writes to standard output. A reader that has gone away (`syncd … | head`) is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::from),
    }
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Undecided, error))?;
    print(&format!("{text}\n"))
}

/// Prints one YAML document.
pub(crate) fn print_yaml(value: &impl Serialize) -> Result<(), Failure> {
    let value = serde_json::to_value(value).map_err(|error| Failure::new(Exit::Undecided, error))?;
    print(&yaml::write(&value))
}

/// `error: …`, a `caused by: …` for each cause, `help: …`.
pub(crate) fn describe(failure: &Failure, color: bool) -> String {
    let mut text = format!("{} {}", paint(color, Paint::Bad, "error:"), failure.error);
    let mut next = failure.error.source();
    while let Some(cause) = next {
        let label = paint(color, Paint::Strong, "caused by:");
        let cause_text = cause.to_string();
        // Some layers say of their cause what it says itself.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!("\n  {label} {cause_text}"));
        }
        next = cause.source();
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\n{} {hint}", paint(color, Paint::Help, "help:")));
    }
    text
}

/// Prints a failure on standard error; how the process ends.
pub(crate) fn fail(failure: &Failure, talk: Talk) -> Exit {
    to_stderr(&describe(failure, talk.color_err));
    failure.exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{ErrorKind, RegistryError};

    #[test]
    fn a_failure_shows_its_causes_and_the_way_out() {
        let inner = std::io::Error::other("no space left on device");
        let error = RegistryError::new(ErrorKind::DiskFull, "/store", "write a blob").caused_by(inner);
        let failure = Failure::new(Exit::Undecided, error).hint("make room");
        assert_eq!(
            describe(&failure, false),
            "error: failed to write a blob at /store\n  caused by: no space left on device\nhelp: make room"
        );
        assert!(describe(&failure, true).starts_with("\u{1b}[1;31merror:\u{1b}[0m failed"));
    }
}
