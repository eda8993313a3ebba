//! What can go wrong while the servers of a test are brought up.
//!
//! A test mostly ends in `unwrap`, which prints `Debug`; so `Debug` here is the
//! readable text with its whole chain of causes, not the fields.

use std::error::Error as StdError;
use std::fmt;

/// The result of every helper.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed helper.
#[derive(thiserror::Error)]
pub enum Error {
    /// A program is not on this machine.
    #[error("missing {name}: {remedy}")]
    Missing {
        /// The program.
        name: String,
        /// How to get it.
        remedy: String,
    },
    /// A program did not start.
    #[error("failed to start {name}")]
    Start {
        /// The program.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A server did not become ready in time.
    #[error("failed to see {name} ready within {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// The server.
        name: String,
        /// How long was waited.
        seconds: u64,
        /// The last lines it wrote.
        log: String,
    },
    /// A server ended before it was ready.
    #[error("failed to keep {name} up ({status}); the end of its log:\n{log}")]
    Ended {
        /// The server.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        log: String,
    },
    /// A command ended with an error.
    #[error("failed to run {command} ({status}):\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to both outputs.
        output: String,
    },
    /// Something did not become true in time.
    #[error("failed to see {what} within {seconds} s{state}")]
    Wait {
        /// What was waited for.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// What was seen instead.
        state: String,
    },
    /// Anything else.
    #[error("failed to {operation}")]
    Other {
        /// What was tried.
        operation: String,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Names the operation that failed.
pub trait Context<T> {
    /// Turns any error into [`Error::Other`] with the operation's name.
    fn context(self, operation: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, operation: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Other {
            operation: operation.into(),
            source: source.into(),
        })
    }
}
