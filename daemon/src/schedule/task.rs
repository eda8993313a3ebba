//! What can be scheduled.

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::report::{Activation, Outcome};

/// A piece of scheduled work: no input, may run twice, no retries inside. One failed item never
/// stops the rest. Its future is dropped when the daemon stops, at whatever it waits for.
pub trait Task: Send + Sync + 'static {
    /// The name in status, metrics and logs.
    fn name(&self) -> &'static str;

    /// One whole run.
    fn run(&self, why: Activation) -> BoxFuture<'_, Finished>;
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The end.
    pub outcome: Outcome,
    /// A line for people.
    pub summary: String,
    /// The closed class of what went wrong.
    pub error_kind: Option<String>,
    /// When what it made is due to be made again, whatever its timetable says. Counts until the next
    /// run ends; one that is nearer than 10 seconds is put off until then.
    pub again_at: Option<Timestamp>,
}

impl Finished {
    /// All done.
    #[must_use]
    pub fn done(summary: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Done,
            summary: summary.into(),
            error_kind: None,
            again_at: None,
        }
    }

    /// Nothing could be done.
    #[must_use]
    pub fn failed(kind: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed,
            summary: summary.into(),
            error_kind: Some(kind.into()),
            again_at: None,
        }
    }
}
