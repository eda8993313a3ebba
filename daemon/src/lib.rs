//! syncd, module by module in reading order:
//!
//! - [`report`]: every type that leaves the process.
//! - [`oci`]: the registry base: everything that speaks distribution-spec or holds images.
//! - [`cluster`]: the Kubernetes API as syncd uses it.
//! - [`tokens`]: one token an identity: cache, refresh times, the trusted last-good store.
//! - [`images`]: what the jobs share about images: names in the mirror, the copy engine, proofs.
//! - [`credentials`]: keeps proven credentials in secrets of namespaces and in docker config files.
//! - [`mirror`]: copies the configured images to the embedded registry or to any other.
//! - [`registry`]: the embedded registry: serves the store to runtimes and clients.
//! - [`diagnose`]: why an image does not pull.
//! - [`schedule`]: idempotent tasks, one driver each.
//! - [`status`]: the daemon seen from outside: readiness, metrics, the report.
//! - [`control`]: the socket by which a command asks the running daemon.
//! - [`context`]: clock, clients and store, built once for the daemon and for commands alike.
//! - [`app`]: the composition root of `syncd run`.
//! - [`cli`]: the command line: a file a verb, one table of exit codes.
//! - [`telemetry`]: logs for people and for programs.

pub mod app;
pub mod cli;
pub mod cluster;
pub mod context;
pub mod control;
pub mod credentials;
pub mod diagnose;
pub mod images;
pub mod mirror;
pub mod oci;
pub mod registry;
pub mod report;
pub mod schedule;
pub mod status;
pub mod telemetry;
pub mod tokens;
