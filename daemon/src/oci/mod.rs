//! The registry base: everything that speaks distribution-spec or holds images.

pub mod auth;
#[doc(hidden)]
pub mod conformance;
pub mod error;
pub mod graph;
pub mod http;
pub mod layout;
pub mod memory;
pub mod quirks;
pub mod remote;
pub mod store;
mod upload;
pub mod walk;

pub use auth::{Credential, CredentialSource};
pub use error::{ErrorKind, RegistryError};
pub use http::{RegistryClient, RegistryRequest, RegistryResponse, RequestBody, RequestTarget, Scope};
