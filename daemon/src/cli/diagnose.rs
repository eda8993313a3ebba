//! `syncd diagnose`.

use std::sync::Arc;

use clap::ValueEnum;
use syncd_config::Platform;

use super::exit::{self, Exit};
use super::output::{self, Failure};
use super::{Session, config, diagnose_text};
use crate::context;
use crate::diagnose::{self, DiagnoseContext, DiagnoseOptions};
use crate::oci::RegistryClient;
use crate::oci::credentials::ConfiguredCredentials;

/// Say why an image does not pull
///
/// Asks the registry what a node would ask it: name, connection, TLS, login,
/// manifest, platform, and whether the mirror has the image. Credentials of
/// the configuration are used where they belong, and never shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  syncd diagnose docker.io/library/nginx:1.27
  syncd diagnose registry.corp.example:5000/team/app:2 -o json
  syncd diagnose quay.io/team/app:2 --platform linux/arm64 --blobs

Exit codes: 0 nothing is wrong, 1 a cause was found, 3 it could not be
found out.")]
pub(super) struct Args {
    /// The image, as a pod would name it
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The platform of the node [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Read the last byte of every layer as well
    #[arg(long)]
    blobs: bool,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let context = context(session)?;
    let mut options = DiagnoseOptions {
        blobs: args.blobs,
        ..DiagnoseOptions::default()
    };
    if let Some(platform) = &args.platform {
        options.platform = platform.clone();
    }
    let report = diagnose::image(&context, &args.image, &options).await;
    match args.output {
        Form::Text => output::print(&diagnose_text::text(&report, 80))?,
        Form::Json => output::print_json(&report)?,
        Form::Yaml => output::print_yaml(&report)?,
    }
    Ok(exit::of_diagnosis(&report))
}

/// Works without a configuration as well, when nobody named one and there is none.
fn context(session: &Session) -> Result<DiagnoseContext, Failure> {
    let config = if session.config_chosen() || session.config_path().exists() {
        Some(Arc::new(config::load(session)?.config))
    } else {
        None
    };
    let entries = config
        .as_ref()
        .map(|config| config.registries.as_slice())
        .unwrap_or_default();
    let credentials = Arc::new(ConfiguredCredentials::new(entries));
    let client = RegistryClient::new(entries, credentials, session.clock.clone())
        .map_err(|error| Failure::new(Exit::Undecided, error))?;
    Ok(DiagnoseContext {
        store: config.as_ref().map(|config| context::store_dir(config)),
        config,
        client,
    })
}
