//! Why an image does not pull: asks what a node would ask, in the same order, and says which
//! step failed.
//!
//! One pass is gather (`probe`, `network`, `pull`, `lookup`) and judge (`checks`, pure). The probe stops at the
//! first failure, sends every request once, and ends within its deadline. Its credential goes
//! where every other credential of syncd goes: through the registry client.

pub mod causes;
mod causes_network;
mod causes_node;
pub mod chain;
mod checks;
pub mod event;
mod existence;
mod facts;
mod faults;
mod fixes;
mod lookup;
mod near;
mod network;
pub mod pod;
mod presence;
mod probe;
mod pull;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::{Config, Platform};

use crate::oci::http::RegistryClient;
use crate::report::DiagnoseReport;

/// What a diagnosis works with.
#[derive(Clone)]
pub struct DiagnoseContext {
    /// The configuration; without one there is no credential, and no mirror to look into.
    pub config: Option<Arc<Config>>,
    /// The client that a pass of the mirror would use.
    pub client: RegistryClient,
    /// The folder of the embedded registry's store; it is only read.
    pub store: Option<PathBuf>,
}

/// What to ask, and how far.
#[derive(Clone, Debug)]
pub struct DiagnoseOptions {
    /// The platform that a node would choose for.
    pub platform: Platform,
    /// Whether every layer's last byte is read as well.
    pub blobs: bool,
    /// The end of the whole diagnosis.
    pub deadline: Duration,
    /// The end of a single network step: name, connection, TLS greeting.
    pub step: Duration,
}

impl Default for DiagnoseOptions {
    fn default() -> Self {
        Self {
            platform: this_platform(),
            blobs: false,
            deadline: Duration::from_secs(60),
            step: Duration::from_secs(5),
        }
    }
}

/// The platform of this machine's containers.
#[must_use]
pub fn this_platform() -> Platform {
    // Images for other systems than these two run on a Linux machine in between.
    let os = if std::env::consts::OS == "windows" {
        "windows"
    } else {
        "linux"
    };
    Platform {
        os: os.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        variant: None,
    }
    .normalized()
}

/// Reads what a node said, without asking anybody. `image` is the one it is about, when known.
#[must_use]
pub fn message(image: Option<&str>, text: &str) -> DiagnoseReport {
    event::answer(image, text)
}

/// Asks for `image` and judges what came. Never fails: what stops the questions is in the report.
pub async fn image(context: &DiagnoseContext, image: &str, options: &DiagnoseOptions) -> DiagnoseReport {
    checks::judge(&probe::look(context, image, options).await)
}
