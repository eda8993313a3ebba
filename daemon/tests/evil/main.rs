//! The registry client against servers that mean it ill.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result
)]

mod attack;
mod client;
mod connect;
mod faults;
mod login;
mod logs;
mod proxy;
mod server;
mod tokens;
