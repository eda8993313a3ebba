//! `syncd explain`.

use super::HELP;
use super::diagnose_text::wrap;
use super::exit::Exit;
use super::output::{self, Failure};
use crate::diagnose::causes::{self, About};
use crate::report::Cause;

/// Columns of the text.
const WIDTH: usize = 80;

/// Say what a cause means and what to do about it
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
The causes that `syncd diagnose` names, each with how it comes about and what
to do, the likeliest first. Nothing is asked: no registry, no cluster, no
configuration.")]
#[command(after_help = "\
Examples:
  syncd explain
  syncd explain tag_not_found

Exit codes: 0 done, 2 there is no such cause.")]
pub(super) struct Args {
    /// The cause, as `syncd diagnose` prints it [default: a list of all]
    #[arg(value_name = "CAUSE")]
    cause: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let text = match &args.cause {
        None => list(),
        Some(name) => page(&causes::about(
            causes::named(name).map_err(|close| unknown(&close))?,
        )),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn list() -> String {
    let widest = Cause::ALL
        .iter()
        .map(|cause| cause.as_str().len())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for cause in Cause::ALL {
        let first = format!("{:widest$}  ", cause.as_str());
        wrap(
            &mut lines,
            &first,
            &" ".repeat(widest + 2),
            causes::about(*cause).title,
            WIDTH,
        );
    }
    lines.join("\n") + "\n"
}

fn page(about: &About) -> String {
    let mut lines = Vec::new();
    wrap(
        &mut lines,
        "",
        "",
        &format!("{}: {}", about.cause, about.title),
        WIDTH,
    );
    lines.push(String::new());
    wrap(&mut lines, "", "", about.meaning, WIDTH);
    lines.push(String::new());
    lines.push("What to do:".to_owned());
    for (n, step) in (1..).zip(about.remedy) {
        wrap(&mut lines, &format!("  {n}. "), "     ", step, WIDTH);
    }
    lines.join("\n") + "\n"
}

fn unknown(close: &[&str]) -> Failure {
    let failure = Failure::new(Exit::Usage, "failed to explain: there is no cause of that name");
    match close.first() {
        Some(name) => failure.hint(format!("did you mean `{name}`?")),
        None => failure.hint("`syncd explain` lists them all"),
    }
}
