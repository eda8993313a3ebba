//! `syncd diagnose`.

use clap::ValueEnum;

use super::Session;
use super::exit::Exit;
use super::output::Failure;

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

Exit codes: 0 nothing is wrong, 1 a cause was found, 3 it could not be
found out.")]
pub(super) struct Args {
    /// The image, as a pod would name it
    #[arg(value_name = "IMAGE")]
    image: String,
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

pub(super) async fn run(_session: &Session, args: &Args) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::Undecided,
        format!("cannot diagnose {} yet", args.image),
    ))
}
