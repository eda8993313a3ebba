//! `syncd sync mirror`.

use super::{Verify, Work, Worker, from_daemon};
use crate::app::{mirror_summary, pass_options};
use crate::cli::exit::{self, Exit};
use crate::cli::output::Failure;
use crate::cli::{form, progress};
use crate::context;
use crate::control::{SyncRequest, VerifyLevel};
use crate::oci::layout::Layout;
use crate::report::MirrorReport;

pub(super) async fn run(work: Work<'_>) -> Result<Exit, Failure> {
    let args = work.args;
    let request = SyncRequest {
        dry_run: args.dry_run,
        verify: match args.verify {
            None | Some(Verify::Touch) => VerifyLevel::Touch,
            Some(Verify::Full) => VerifyLevel::Full,
        },
    };
    let report = match work.worker {
        Worker::Here(store) => here(work, store, request).await?,
        Worker::Daemon(client) => client.sync_mirror(request).await.map_err(from_daemon)?,
    };
    form::print_mirror(&report, args.output, work.session.talk.color_out)?;
    if args.output.is_table() {
        work.session.talk.say(&mirror_summary(&report));
    }
    Ok(exit::of_mirror(&report, args.exit_code))
}

async fn here(work: Work<'_>, store: &Layout, request: SyncRequest) -> Result<MirrorReport, Failure> {
    let context = work.context(store)?;
    let options = pass_options(request.dry_run, request.verify);
    let report = context.mirror_pass(options, progress::new(work.session)).await;
    context::flush_index(store)
        .await
        .map_err(|error| Failure::new(Exit::Undecided, error))?;
    Ok(report)
}
