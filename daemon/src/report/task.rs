//! What the daemon's tasks are doing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of one scheduled task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// `mirror`, `credentials`, …
    pub name: String,
    /// Since when the current run goes on.
    pub running_since: Option<Timestamp>,
    /// The next time it is due, when it has one.
    pub next: Option<Timestamp>,
    /// The last finished run.
    pub last: Option<LastRun>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Why it ran.
    pub why: Activation,
    /// How it ended.
    pub outcome: Outcome,
    /// A line for people.
    pub summary: String,
    /// The closed class of what went wrong.
    pub error_kind: Option<String>,
}

/// Why a task ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The daemon started.
    Start,
    /// Its cron expression.
    Cron,
    /// Its period.
    Period,
    /// What the last run made is due to be made again (a token's refresh).
    Due,
    /// Something it depends on changed (the configuration, another task's end).
    Change,
    /// A person asked.
    Hand,
    /// An earlier run failed.
    Retry,
}

impl Activation {
    /// The name in reports and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cron => "cron",
            Self::Period => "period",
            Self::Due => "due",
            Self::Change => "change",
            Self::Hand => "hand",
            Self::Retry => "retry",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Some things failed.
    Partly,
    /// Nothing could be done.
    Failed,
}
