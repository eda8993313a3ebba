//! Scheduled work: idempotent tasks, one driver each.
//!
//! A [`Task`] takes no input and never retries itself: the next activation is the retry. The driver
//! guarantees that at most one run of a task goes on at a time, that activations during a run are
//! folded into one run after it, that a panic ends the run and not the daemon, and that due times
//! follow the wall clock even when the machine was suspended or its clock was set.

mod driver;
mod task;
mod timetable;

pub use driver::{Counts, TaskHandle, spawn};
pub use task::{Finished, Task};
pub use timetable::{Cron, Timetable};

#[cfg(test)]
mod tests;
