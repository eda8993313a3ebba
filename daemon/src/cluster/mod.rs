//! The Kubernetes API as syncd uses it: few verbs, metadata instead of contents, every answer bounded.

mod error;
mod types;

pub use error::{ClusterError, ClusterErrorKind, Verb};
pub use types::{NamespaceMeta, NewSecret, SecretMeta};
