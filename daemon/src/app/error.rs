//! Why the daemon could not start.

use std::net::SocketAddr;

use thiserror::Error;

use crate::control::ControlError;
use crate::oci::{ErrorKind, RegistryError};
use crate::registry::RegistryServerError;

/// Why the daemon could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is wrong, or not there.
    #[error(transparent)]
    Config(syncd_config::LoadError),
    /// Signals cannot be received.
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    /// The store cannot be opened, or another process holds it.
    #[error(transparent)]
    Store(RegistryError),
    /// An address cannot be listened on.
    #[error("failed to listen on {address} ({what})")]
    Listen {
        /// For what: `status` or `registry`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The registry client cannot be built.
    #[error(transparent)]
    Client(RegistryError),
    /// The embedded registry cannot start.
    #[error(transparent)]
    Registry(RegistryServerError),
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl StartError {
    /// The closed class.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Config(error) => error.kind().as_str(),
            Self::Signals(_) => "signals",
            Self::Store(error) | Self::Client(error) => error.kind().as_str(),
            Self::Listen { .. } => "listen",
            Self::Registry(_) => "registry",
            Self::Control(_) => "control",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint().map(str::to_owned),
            Self::Store(error) if error.kind() == ErrorKind::Locked => {
                Some("stop that process, or give this one a stateDir of its own".to_owned())
            }
            Self::Listen { what, source, .. } => listen_hint(what, source),
            _ => None,
        }
    }
}

fn listen_hint(what: &str, source: &std::io::Error) -> Option<String> {
    let key = if what == "status" {
        "listen"
    } else {
        "registry.listen"
    };
    match source.kind() {
        std::io::ErrorKind::AddrInUse => Some(format!(
            "another process has this port: stop it, or change `{key}` in the configuration"
        )),
        std::io::ErrorKind::AddrNotAvailable => Some(format!("`{key}` must be an address of this machine")),
        std::io::ErrorKind::PermissionDenied => Some(format!(
            "ports below 1024 need a right: choose a higher one for `{key}`"
        )),
        _ => None,
    }
}
