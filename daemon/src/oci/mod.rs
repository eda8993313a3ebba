//! The registry base: everything that speaks distribution-spec or holds images.

pub mod error;
pub mod store;

pub use error::{ErrorKind, RegistryError};
