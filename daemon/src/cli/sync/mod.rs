//! `syncd sync`.

mod credentials;
mod mirror;

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use syncd_config::Config;
use tokio::time::{Instant, sleep};

use super::cluster::ClusterArgs;
use super::exit::{self, Exit};
use super::form::Form;
use super::output::Failure;
use super::{HELP, Session, config};
use crate::context::{self, Context};
use crate::control::{Client, ControlError};
use crate::oci::ErrorKind;
use crate::oci::layout::Layout;

/// A holder of the store that is no daemon (another `sync`) is waited for this long.
const HOLDER: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(250);

/// Do one pass now, then exit
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
mirror: copies every image of `mirror.images` that is missing or has changed,
and proves that what the mirror has can be read: by size and last byte of each
blob (touch) or by reading every byte back (full).

credentials: asks for the tokens that are due, proves each on its `probe`, and
writes them to every secret and file of `credentials.targets`. What is not
good is not written: the one before stays.

Without a word: all that is configured. Beside a running daemon the daemon
does the pass; report and exit code are the same.")]
#[command(after_help = "\
Examples:
  syncd sync                               all that is configured
  syncd sync mirror                        copy what is missing
  syncd sync mirror --verify full          read everything back and hash it
  syncd sync credentials                   refresh, prove, write
  syncd sync credentials --dry-run         only say what would be written
  syncd sync mirror --dry-run --exit-code  and exit 1 if that is anything
  syncd sync mirror -o json | jq .totals")]
pub(super) struct Args {
    /// What to bring up to date [default: all that is configured]
    #[arg(value_enum)]
    what: Option<What>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 1 when something would be done
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// mirror: how deep the proof goes [default: touch]
    #[arg(long, value_enum, value_name = "HOW")]
    verify: Option<Verify>,
    /// credentials: ask for new tokens even where none is due
    #[arg(long)]
    renew: bool,
    /// credentials: do the removal that waits under this id
    #[arg(long, value_name = "ID")]
    confirm_removal: Option<String>,
    /// The form of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Credentials,
    Mirror,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verify {
    Touch,
    Full,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let config = Arc::new(config::load(session)?.config);
    let all = wanted(args, &config)?;
    let worker = who(session, &config).await?;
    let mut ends = Vec::new();
    for (at, what) in all.iter().enumerate() {
        if at > 0 && args.output.is_table() {
            super::output::print("\n")?;
        }
        let work = Work {
            session,
            args,
            config: &config,
            worker: &worker,
        };
        ends.push(match what {
            What::Mirror => mirror::run(work).await?,
            What::Credentials => credentials::run(work).await?,
        });
    }
    Ok(exit::of_all(&ends))
}

/// One pass to do.
#[derive(Clone, Copy)]
struct Work<'a> {
    session: &'a Session,
    args: &'a Args,
    config: &'a Arc<Config>,
    worker: &'a Worker,
}

impl Work<'_> {
    /// What the daemon works with, built for this one pass.
    fn context(&self, store: &Layout) -> Result<Context, Failure> {
        let config = Arc::clone(self.config);
        let clock = self.session.clock.clone();
        Context::new(config, Some(store.clone()), clock, self.args.cluster.options())
            .map_err(|error| Failure::new(Exit::Undecided, error))
    }
}

/// What to do, in order; at least one.
fn wanted(args: &Args, config: &Config) -> Result<Vec<What>, Failure> {
    let configured = |what: What| match what {
        What::Mirror => config.mirror.is_some(),
        What::Credentials => config.credentials.is_some(),
    };
    let missing = |what: &str, keys: &str| {
        let text = format!("nothing to {what}: the configuration has no {keys}");
        Failure::new(Exit::Usage, text).hint("`syncd config example` shows how to write one")
    };
    let all = match args.what {
        Some(What::Mirror) if config.mirror.is_none() => return Err(missing("mirror", "`mirror`")),
        Some(What::Credentials) if config.credentials.is_none() => {
            return Err(missing("keep fresh", "`credentials`"));
        }
        Some(what) => vec![what],
        None => in_order(config)
            .into_iter()
            .filter(|what| configured(*what))
            .collect(),
    };
    if all.is_empty() {
        return Err(missing("do", "`mirror` and no `credentials`"));
    }
    fits(args, &all)?;
    Ok(all)
}

/// A registry of this process can prove a credential only with the images that are in it.
fn in_order(config: &Config) -> [What; 2] {
    match context::own_entries(config).is_empty() {
        true => [What::Credentials, What::Mirror],
        false => [What::Mirror, What::Credentials],
    }
}

/// Whether every option has something to say about what is done.
fn fits(args: &Args, all: &[What]) -> Result<(), Failure> {
    for (given, option, what, name) in [
        (args.verify.is_some(), "--verify", What::Mirror, "mirror"),
        (args.renew, "--renew", What::Credentials, "credentials"),
        (
            args.confirm_removal.is_some(),
            "--confirm-removal",
            What::Credentials,
            "credentials",
        ),
    ] {
        if given && !all.contains(&what) {
            let text = format!("{option} is for `syncd sync {name}`");
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    if all.len() > 1 && !args.output.is_table() {
        let failure = Failure::new(Exit::Usage, "two passes are two documents: name one");
        return Err(failure.hint("`syncd sync mirror` or `syncd sync credentials`"));
    }
    Ok(())
}

enum Worker {
    Here(Layout),
    Daemon(Client),
}

/// Who does it: this process when it gets the store, else the daemon that has it.
async fn who(session: &Session, config: &Config) -> Result<Worker, Failure> {
    let client = Client::new(&config.state_dir);
    let deadline = Instant::now() + HOLDER;
    let mut told = false;
    loop {
        let locked = match context::own_store(config) {
            Ok(store) => return Ok(Worker::Here(store)),
            Err(error) if error.kind() == ErrorKind::Locked => error,
            Err(error) => return Err(Failure::new(Exit::Undecided, error)),
        };
        if client.tasks().await.is_ok() {
            session.talk.say("A daemon is running: it does the pass.");
            return Ok(Worker::Daemon(client));
        }
        if Instant::now() >= deadline {
            let failure = Failure::new(Exit::Undecided, locked);
            return Err(failure.hint("wait for that process to end, or stop it"));
        }
        if !told {
            told = true;
            session
                .talk
                .say(&format!("Waiting for the store: {}.", locked.detail));
        }
        sleep(AGAIN).await;
    }
}

fn from_daemon(error: ControlError) -> Failure {
    Failure::new(Exit::Undecided, error)
}

#[cfg(test)]
mod tests;
