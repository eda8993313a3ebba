//! The registry client against servers that mean it ill.

mod client;
mod login;
mod server;
