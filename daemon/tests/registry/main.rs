//! The embedded registry over loopback: by raw requests, so that nothing but our own server is
//! trusted, and by `oci-client` as the independent second opinion.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod connections;
mod harness;
mod hostile;
mod lists;
mod login;
mod manifests;
mod pull;
mod push;
mod tls;
