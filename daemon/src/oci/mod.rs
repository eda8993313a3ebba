//! The registry base: everything that speaks distribution-spec or holds images.

pub mod auth;
mod challenge;
#[doc(hidden)]
pub mod conformance;
pub mod credentials;
pub mod docker_config;
mod download;
pub mod error;
mod exchange;
pub mod graph;
pub(crate) mod hidden;
pub mod http;
pub mod layout;
pub(crate) mod limit;
mod login;
pub mod look;
pub mod memory;
mod origin;
pub mod quirks;
mod refusal;
pub mod remote;
mod request;
mod response;
pub(crate) mod retry;
#[cfg(test)]
pub(crate) mod scripted;
pub mod store;
mod token;
mod upload;
pub mod walk;
mod wire;

pub use auth::{Credential, CredentialSource};
pub use error::{ErrorKind, RegistryError, Shown};
pub use http::{RegistryClient, RegistryRequest, RegistryResponse, RequestBody, RequestTarget, Scope};
