//! The vocabulary of syncd, and the file a user writes turned into a [`Config`] that cannot be wrong.
//!
//! Reading order: the words ([`mod@reference`], [`digest`], [`platform`], [`host`], [`secret`], …),
//! then [`config`] (what the rest of the program gets), then the way there: the `tree` of a file,
//! the table of all `keys`, the walker (`decode`) and [`error`] with all that was wrong.
//!
//! Everything here is pure but for reading the configuration file and the files it names.

pub mod config;
pub mod cron;
mod decode;
mod diagnostics;
pub mod digest;
pub mod duration;
pub mod error;
mod excerpt;
pub mod glob;
pub mod host;
pub mod identity;
mod keys;
mod kubernetes;
mod load;
mod mask;
pub mod platform;
pub mod reference;
mod schema;
pub mod secret;
mod show;
mod suggest;
pub mod text;
mod tree;

pub use config::Config;
pub use cron::Cron;
pub use digest::Digest;
pub use error::{LoadError, Problem, Problems};
pub use glob::Glob;
pub use host::RegistryHost;
pub use load::{Loaded, load, parse};
pub use platform::Platform;
pub use reference::{Reference, Repository, Tag};
pub use schema::{reference_page, schema};
pub use secret::Secret;
pub use show::show;

/// A whole commented configuration to start from.
pub const EXAMPLE: &str = include_str!("../examples/full.yaml");
