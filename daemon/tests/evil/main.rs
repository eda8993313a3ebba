//! The registry client against servers that mean it ill.

mod attack;
mod client;
mod connect;
mod faults;
mod login;
mod logs;
mod proxy;
mod server;
mod tokens;
