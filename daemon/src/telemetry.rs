//! Logs: lines for people on a terminal, one JSON object a line elsewhere.
//!
//! Everything goes to standard error. Secrets cannot get here: they print as `****`. What is said
//! *to a person* (not about an event) carries the target [`SAY`] and stands bare on a terminal.

use std::error::Error;
use std::fmt;
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The target of messages that are meant for the person who started syncd.
pub const SAY: &str = "say";

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// `-q`: errors.
    Quiet,
    /// Warnings (a command) or the course of events (the daemon).
    #[default]
    Normal,
    /// `-v`: details of syncd's own doing.
    Verbose,
    /// `-vv`: everything syncd and its libraries say.
    Trace,
}

/// Which form log lines take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Lines,
    /// For programs.
    Json,
}

impl Form {
    /// The daemon's form: JSON unless a person is looking.
    #[must_use]
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Lines
        } else {
            Self::Json
        }
    }
}

/// Starts logging; `RUST_LOG` chooses what, when it is set. A second call in one process changes nothing.
pub fn init(level: Verbosity, daemon: bool, form: Form, color: bool) {
    let chosen = directives(level, daemon, form);
    let filter = std::env::var_os("RUST_LOG")
        .and_then(|chosen| EnvFilter::try_new(chosen.to_str()?).ok())
        .unwrap_or_else(|| EnvFilter::new(chosen));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match form {
        Form::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        Form::Lines => {
            let layer = tracing_subscriber::fmt::layer()
                .event_format(ForPeople { color })
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// What is let through. Libraries are held to warnings until asked for: they would drown syncd. The
/// Kubernetes client calls every refused connection an error of its own; it comes back as one that
/// we report. What a pass over credentials complains of, a person sees in its report; each write of
/// a credential is told by the daemon whoever reads its log (`audit`).
fn directives(level: Verbosity, daemon: bool, form: Form) -> &'static str {
    match (level, daemon) {
        (Verbosity::Quiet, _) => "error,kube_client=off",
        (Verbosity::Normal, false) => "warn,kube_client=off,credentials=error",
        // What a person must know is said to them; the events behind it are for -v.
        (Verbosity::Normal, true) if form == Form::Lines => {
            "warn,kube_client=off,credentials=error,reload=info,say=info,audit=info"
        }
        (Verbosity::Normal, true) => {
            "warn,kube_client=off,syncd=info,syncd_config=info,syncd_providers=info,reload=info,say=info,audit=info"
        }
        (Verbosity::Verbose, _) => {
            "info,syncd=debug,syncd_config=debug,syncd_providers=debug,reload=info,say=info,audit=info"
        }
        (Verbosity::Trace, _) => "trace",
    }
}

/// An error with all its causes in one line, for a log field.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some layers say of their cause what it says itself.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// `12:04:09 warn  message key=value`, or the bare message when it is said to a person.
struct ForPeople {
    color: bool,
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if event.metadata().target() == SAY {
            return writeln!(writer, "{}", fields.message);
        }
        let mut time = String::new();
        tracing_subscriber::fmt::time::SystemTime.format_time(&mut Writer::new(&mut time))?;
        let time = time.get(11..19).unwrap_or(&time);
        let (name, paint) = match *event.metadata().level() {
            Level::ERROR => ("error", "\u{1b}[31m"),
            Level::WARN => ("warn", "\u{1b}[33m"),
            Level::INFO => ("info", "\u{1b}[32m"),
            Level::DEBUG => ("debug", "\u{1b}[34m"),
            Level::TRACE => ("trace", "\u{1b}[35m"),
        };
        let (on, off) = if self.color {
            (paint, "\u{1b}[0m")
        } else {
            ("", "")
        };
        write!(writer, "{time} {on}{name:<5}{off} {}", one_line(&fields.message))?;
        for (key, value) in &fields.rest {
            write!(writer, " {key}={}", one_line(value))?;
        }
        writeln!(writer)
    }
}

/// A log line is one line, and no text in it may speak to the terminal.
fn one_line(text: &str) -> String {
    syncd_config::text::clean_to(text, 2000)
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.rest.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{ForPeople, SAY, chain};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_said_stands_bare_and_events_are_one_clean_line() {
        let out = Out::default();
        let writer = out.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(ForPeople { color: false })
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: SAY, "two\nlines");
            tracing::warn!(registry = "a\u{1b}[31m\nb", "odd");
        });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["two", "lines"]);
        assert_eq!(lines[2].get(8..), Some(" warn  odd registry=a\\u{1b}[31m b"));
    }

    #[test]
    fn a_chain_is_one_line() {
        let inner = std::io::Error::other("disk on fire");
        let error =
            crate::oci::RegistryError::new(crate::oci::ErrorKind::Io, "store", "write").caused_by(inner);
        assert_eq!(chain(&error), "failed to write at store: disk on fire");
    }
}
