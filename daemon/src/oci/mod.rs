//! The registry base: everything that speaks distribution-spec or holds images.

pub mod auth;
pub mod error;
pub mod http;
pub mod store;

pub use auth::{Credential, CredentialSource};
pub use error::{ErrorKind, RegistryError};
pub use http::{RegistryClient, RegistryRequest, RegistryResponse, RequestBody, RequestTarget, Scope};
