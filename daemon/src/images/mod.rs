//! What the jobs share about images: their names in the mirror, the copy engine, the proof that an
//! image is whole, and the receipts of proofs.

pub mod mapping;
pub mod receipt;
