//! `syncd sync credentials`.

use super::{Work, Worker, from_daemon};
use crate::app::{credential_options, credential_summary};
use crate::cli::exit::{self, Exit};
use crate::cli::form;
use crate::cli::output::Failure;
use crate::cli::tables::{Changes, CredentialView};
use crate::control::CredentialRequest;

pub(super) async fn run(work: Work<'_>) -> Result<Exit, Failure> {
    let args = work.args;
    let request = CredentialRequest {
        dry_run: args.dry_run,
        confirm_removal: args.confirm_removal.clone(),
        renew: args.renew,
    };
    let report = match work.worker {
        // No registry is served by a command: what needs one's own is not held, and shown as not proven.
        Worker::Here(store) => {
            let context = work.context(store)?;
            context
                .credential_pass(credential_options(request), Vec::new())
                .await
        }
        Worker::Daemon(client) => client.sync_credentials(&request).await.map_err(from_daemon)?,
    };
    let view = CredentialView {
        wide: false,
        color: work.session.talk.color_out,
        now: work.session.clock.now(),
        changes: if args.dry_run {
            Changes::Planned
        } else {
            Changes::Done
        },
    };
    form::print_credentials(&report, args.output, view)?;
    if args.output.is_table() {
        work.session.talk.say(&credential_summary(&report));
    }
    Ok(exit::of_credentials(&report, args.exit_code))
}
