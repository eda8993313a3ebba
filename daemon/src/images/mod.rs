//! What the jobs share about images: their names in the mirror, the copy engine, the proof that an
//! image is whole, and the receipts of proofs.

pub mod copy;
pub mod fault;
pub mod mapping;
pub mod place;
pub mod progress;
pub mod receipt;
mod resume;
#[cfg(test)]
pub(crate) mod samples;
pub mod verify;
