//! The vocabulary of syncd, and the file a user writes turned into a [`Config`] that cannot be wrong.
//!
//! Reading order: the words ([`reference`], [`digest`], [`platform`], [`host`], [`secret`], …),
//! then [`config`] (what the rest of the program gets).
//!
//! Everything here is pure but for reading the configuration file and the files it names.

pub mod config;
pub mod digest;
pub mod host;
pub mod platform;
pub mod reference;
pub mod secret;
pub mod text;

pub use config::Config;
pub use digest::Digest;
pub use host::RegistryHost;
pub use platform::Platform;
pub use reference::{Reference, Repository, Tag};
pub use secret::Secret;
