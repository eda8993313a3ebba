//! syncd, module by module in reading order:
//!
//! - [`report`]: every type that leaves the process.
//! - [`oci`]: the registry base: everything that speaks distribution-spec or holds images.
//! - [`images`]: what the jobs share about images: names in the mirror, the copy engine, proofs.
//! - [`mirror`]: copies the configured images to the embedded registry or to any other.
//! - [`schedule`]: idempotent tasks, one driver each.
//! - [`telemetry`]: logs for people and for programs.

pub mod images;
pub mod mirror;
pub mod oci;
pub mod report;
pub mod schedule;
pub mod telemetry;
