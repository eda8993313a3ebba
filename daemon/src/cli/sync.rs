//! `syncd sync`.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use syncd_config::Config;
use tokio::time::{Instant, sleep};

use super::exit::{self, Exit};
use super::form::{self, Form};
use super::output::Failure;
use super::{HELP, Session, config, progress};
use crate::app::{mirror_summary, pass_options};
use crate::context::{self, Context};
use crate::control::{Client, ControlError, SyncRequest, VerifyLevel};
use crate::oci::ErrorKind;
use crate::oci::layout::Layout;
use crate::report::MirrorReport;

/// A holder of the store that is no daemon (another `sync`) is waited for this long.
const HOLDER: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(250);

/// Do one pass now, then exit
#[derive(Debug, clap::Args)]
#[command(help_template = HELP, before_help = "\
Copies every image of `mirror.images` that is missing or has changed, and
proves that what the mirror has can be read: by size and last byte of each
blob (touch) or by reading every byte back (full). Beside a running daemon the
daemon does the pass; report and exit code are the same.")]
#[command(after_help = "\
Examples:
  syncd sync mirror                        copy what is missing
  syncd sync mirror --dry-run              only say what would be copied
  syncd sync mirror --dry-run --exit-code  and exit 1 if that is anything
  syncd sync mirror --verify full          read everything back and hash it
  syncd sync mirror -o json | jq .totals")]
pub(super) struct Args {
    /// What to bring up to date
    #[arg(value_enum, default_value_t)]
    what: What,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 1 when something would be done
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// How deep the proof goes
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    verify: Verify,
    /// The form of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum What {
    #[default]
    Mirror,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Verify {
    #[default]
    Touch,
    Full,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<Exit, Failure> {
    let What::Mirror = args.what;
    let config = Arc::new(config::load(session)?.config);
    if config.mirror.is_none() {
        let failure = Failure::new(
            Exit::Usage,
            "nothing to mirror: the configuration has no `mirror`",
        );
        return Err(failure.hint("`syncd config example` shows how to write one"));
    }
    let request = SyncRequest {
        dry_run: args.dry_run,
        verify: match args.verify {
            Verify::Touch => VerifyLevel::Touch,
            Verify::Full => VerifyLevel::Full,
        },
    };
    let report = match who(session, &config).await? {
        Worker::Here(store) => here(session, config, store, request).await?,
        Worker::Daemon(client) => client.sync_mirror(request).await.map_err(from_daemon)?,
    };
    show(session, args, &report)
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

async fn here(
    session: &Session,
    config: Arc<Config>,
    store: Layout,
    request: SyncRequest,
) -> Result<MirrorReport, Failure> {
    let context = Context::new(config, Some(store.clone()), session.clock.clone())
        .map_err(|error| Failure::new(Exit::Undecided, error))?;
    let options = pass_options(request.dry_run, request.verify);
    let report = context.mirror_pass(options, progress::new(session)).await;
    context::flush_index(&store)
        .await
        .map_err(|error| Failure::new(Exit::Undecided, error))?;
    Ok(report)
}

fn from_daemon(error: ControlError) -> Failure {
    Failure::new(Exit::Undecided, error)
}

fn show(session: &Session, args: &Args, report: &MirrorReport) -> Result<Exit, Failure> {
    form::print_mirror(report, args.output, session.talk.color_out)?;
    if args.output.is_table() {
        session.talk.say(&mirror_summary(report));
    }
    Ok(exit::of_mirror(report, args.exit_code))
}
