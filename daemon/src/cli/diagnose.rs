//! `syncd diagnose`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use syncd_config::{Config, Platform};

use super::cluster::ClusterArgs;
use super::exit::{self, Exit};
use super::output::{self, Failure};
use super::{HELP, Session, config, diagnose_pod, diagnose_text, pasted};
use crate::context;
use crate::diagnose::{self, DiagnoseContext, DiagnoseOptions};
use crate::report::DiagnoseReport;

/// Columns of the text form.
const WIDTH: usize = 80;

/// Say why an image does not pull, or why a pod does not start
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
Asks the registry what a node would ask it: name, connection, TLS, login,
manifest and platform, and whether the mirror has the image. Credentials of
the configuration go only where they belong, and are never shown. Without a
configuration the registry is asked without a login.

With pod/NAME it reads the pod, its events, its pull secrets and its node,
and asks the registry from here with the credential that kubelet would use.
It needs `get` on pods, and says what else it may not read: `list` on events,
`get` on secrets, service accounts and nodes. No content of a secret is shown.

With --message or --file it reads what kubelet or a runtime said, and asks
nobody: no registry, no cluster, no configuration.")]
#[command(after_help = "\
Examples:
  syncd diagnose docker.io/library/nginx:1.27
  syncd diagnose registry.corp.example:5000/team/app:2 --blobs
  syncd diagnose quay.io/team/app:2 --platform linux/arm64
  syncd diagnose ghcr.io/team/app:2 -o json | jq -r .verdict.cause
  syncd diagnose pod/web-7d4b9 -n team-a
  syncd diagnose --message 'ErrImagePull: reg.example/app:2: not found'
  kubectl describe pod app | syncd diagnose --file -

Exit codes: 0 nothing is wrong, 1 a cause was found, 2 usage or configuration,
3 it could not be found out, 4 the pod may not be read, 5 there is no such pod
or no answer.")]
pub(super) struct Args {
    /// The image, as a pod names it; or a pod, as pod/NAME
    #[arg(value_name = "IMAGE|pod/NAME", required_unless_present_any = ["message", "file"])]
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
    /// The pod's namespace [default: the kubeconfig context's]
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["message", "file"])]
    namespace: Option<String>,
    /// The container of the pod [default: the one whose image does not come]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["message", "file"])]
    container: Option<String>,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
    #[command(flatten)]
    cluster: ClusterArgs,
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
        Some(image) if args.message.is_none() && args.file.is_none() => match diagnose_pod::named(image) {
            Some(name) => of_pod(session, args, name).await?,
            None => asked(session, args, image).await?,
        },
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

/// Asks the cluster, and the registry.
async fn of_pod(session: &Session, args: &Args, name: &str) -> Result<DiagnoseReport, Failure> {
    let context = works_with(session)?;
    let options = DiagnoseOptions {
        blobs: args.blobs,
        ..DiagnoseOptions::default()
    };
    let asked = diagnose_pod::Asked {
        name,
        namespace: args.namespace.as_deref(),
        container: args.container.as_deref(),
        platform: args.platform.as_ref(),
        cluster: &args.cluster,
    };
    diagnose_pod::run(&context, &asked, &options, &session.clock).await
}

fn works_with(session: &Session) -> Result<DiagnoseContext, Failure> {
    let config = optional_config(session)?;
    context::diagnose(config, &session.clock).map_err(|error| Failure::new(Exit::Undecided, error))
}

/// Asks the registry.
async fn asked(session: &Session, args: &Args, image: &str) -> Result<DiagnoseReport, Failure> {
    if args.namespace.is_some() || args.container.is_some() {
        return Err(
            Failure::new(Exit::Usage, "a namespace and a container belong to a pod").hint(format!(
                "`{}` is taken for an image; a pod is named pod/NAME",
                syncd_config::text::clean(image)
            )),
        );
    }
    let context = works_with(session)?;
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
