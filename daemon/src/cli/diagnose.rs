//! `syncd diagnose`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use syncd_config::{Config, Platform};

use super::exit::{self, Exit};
use super::output::{self, Failure};
use super::{HELP, Session, config, diagnose_text, pasted};
use crate::context;
use crate::diagnose::{self, DiagnoseOptions};
use crate::report::DiagnoseReport;

/// Columns of the text form.
const WIDTH: usize = 80;

/// Say why an image does not pull
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
Asks the registry what a node would ask it: name, connection, TLS, login,
manifest and platform, and whether the mirror has the image. Credentials of
the configuration go only where they belong, and are never shown. Without a
configuration the registry is asked without a login.

With --message or --file it reads what kubelet or a runtime said, and asks
nobody: no registry, no cluster, no configuration.")]
#[command(after_help = "\
Examples:
  syncd diagnose docker.io/library/nginx:1.27
  syncd diagnose registry.corp.example:5000/team/app:2 --blobs
  syncd diagnose quay.io/team/app:2 --platform linux/arm64
  syncd diagnose ghcr.io/team/app:2 -o json | jq -r .verdict.cause
  syncd diagnose --message 'ErrImagePull: reg.example/app:2: not found'
  kubectl describe pod app | syncd diagnose --file -

Exit codes: 0 nothing is wrong, 1 a cause was found, 2 usage or configuration,
3 it could not be found out.")]
pub(super) struct Args {
    /// The image, as a pod names it
    #[arg(value_name = "IMAGE", required_unless_present_any = ["message", "file"])]
    image: Option<String>,
    /// The words of an event or of the pod's waiting message
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    message: Option<String>,
    /// A file with such words, events or `kubectl describe` output; - is
    /// standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The node's platform, as linux/arm64 [default: this machine's]
    #[arg(long, value_name = "OS/ARCH", conflicts_with_all = ["message", "file"])]
    platform: Option<Platform>,
    /// Read the last byte of every layer as well
    #[arg(long, conflicts_with_all = ["message", "file"])]
    blobs: bool,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
    Yaml,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let report = match &args.image {
        Some(image) if args.message.is_none() && args.file.is_none() => asked(session, args, image).await?,
        image => {
            let text = pasted::text(args.message.as_deref(), args.file.as_deref())?;
            diagnose::message(image.as_deref(), &text)
        }
    };
    match args.output {
        Form::Text => output::print(&diagnose_text::text(&report, WIDTH))?,
        Form::Json => output::print_json(&report)?,
        Form::Yaml => output::print_yaml(&report)?,
    }
    Ok(exit::of_diagnosis(&report))
}

/// Asks the registry.
async fn asked(session: &Session, args: &Args, image: &str) -> Result<DiagnoseReport, Failure> {
    let config = optional_config(session)?;
    let context =
        context::diagnose(config, &session.clock).map_err(|error| Failure::new(Exit::Undecided, error))?;
    let mut options = DiagnoseOptions {
        blobs: args.blobs,
        ..DiagnoseOptions::default()
    };
    if let Some(platform) = &args.platform {
        options.platform = platform.clone();
    }
    Ok(diagnose::image(&context, image, &options).await)
}

/// A diagnosis needs no configuration; one that somebody chose, or that is there, must be right.
fn optional_config(session: &Session) -> Result<Option<Arc<Config>>, Failure> {
    if !session.config_chosen() && !session.config_path().exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(config::load(session)?.config)))
}
