//! The real binary, as a person and as a script use it.
//!
//! Nothing here sleeps: a test waits for a line of the daemon's log, with a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
// How long a process takes to end is real time.
#![allow(clippy::disallowed_methods)]

mod bench;
mod commands;
mod credentials;
mod daemon;
mod help;
mod pod;
