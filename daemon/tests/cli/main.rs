//! The real binary, as a person and as a script use it.
//!
//! Nothing here sleeps: a test waits for a line of the daemon's log, with a deadline.

mod bench;
mod commands;
mod daemon;
mod help;
