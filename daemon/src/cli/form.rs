//! The forms in which `sync` and `get` print a report.

use clap::ValueEnum;

use super::output::{self, Failure};
use super::tables::{self, CredentialView};
use crate::report::{CredentialReport, MirrorReport};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

impl Form {
    /// Whether it is for people, who are told more than the data.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// A mirror report to standard output.
pub(super) fn print_mirror(report: &MirrorReport, form: Form, color: bool) -> Result<(), Failure> {
    match form {
        Form::Json => output::print_json(report),
        Form::Yaml => output::print_yaml(report),
        Form::Name => {
            let names = report
                .images
                .iter()
                .map(|image| format!("{}\n", image.destination));
            output::print(&names.collect::<String>())
        }
        Form::Table | Form::Wide => output::print(&tables::mirror(report, form == Form::Wide, color)),
    }
}

/// A credential report to standard output.
pub(super) fn print_credentials(
    report: &CredentialReport,
    form: Form,
    view: CredentialView,
) -> Result<(), Failure> {
    match form {
        Form::Json => output::print_json(report),
        Form::Yaml => output::print_yaml(report),
        Form::Name => {
            let names = report
                .registries
                .iter()
                .map(|registry| format!("{}\n", registry.name));
            output::print(&names.collect::<String>())
        }
        Form::Table | Form::Wide => {
            let wide = form == Form::Wide;
            output::print(&tables::credentials(report, CredentialView { wide, ..view }))
        }
    }
}
