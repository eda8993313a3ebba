//! `syncd sync credentials`.

use super::{Work, Worker, from_daemon};
use crate::app::{credential_options, credential_summary};
use crate::cli::exit::{self, Exit};
use crate::cli::form;
use crate::cli::output::Failure;
use crate::cli::tables::{Changes, CredentialView};
use crate::control::CredentialRequest;
use crate::report::CredentialReport;

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
    let talk = work.session.talk;
    if let Some(id) = &args.confirm_removal
        && let Some(note) = unconfirmed(&report, id)
    {
        talk.say(&note);
    }
    if args.output.is_table() {
        talk.say(&if args.dry_run {
            "A dry run: nothing was written.".to_owned()
        } else {
            credential_summary(&report)
        });
    }
    Ok(exit::of_credentials(&report, args.exit_code))
}

/// What to say when the removal that a person confirmed is not the one that waits.
fn unconfirmed(report: &CredentialReport, id: &str) -> Option<String> {
    match &report.removal {
        Some(waits) if waits.id != id => Some(format!(
            "Not removed: what waits is another list than {id}. Look at it, then confirm {}.",
            waits.id
        )),
        Some(_) => None,
        None if report.totals.removed == 0 => Some(format!("Nothing waits to be removed as {id}.")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::unconfirmed;
    use crate::report::{CredentialReport, CredentialTotals, PendingRemoval};

    #[test]
    fn a_confirmation_that_fits_nothing_is_said() {
        let mut report = CredentialReport {
            started: jiff::Timestamp::UNIX_EPOCH,
            registries: Vec::new(),
            targets: Vec::new(),
            removal: None,
            incomplete: Vec::new(),
            totals: CredentialTotals::default(),
        };
        let said = |report: &CredentialReport| unconfirmed(report, "1f").unwrap_or_default();
        assert!(said(&report).starts_with("Nothing waits"));
        report.totals.removed = 5;
        assert_eq!(said(&report), "");
        report.removal = Some(PendingRemoval {
            id: "2a".to_owned(),
            items: Vec::new(),
            managed: 9,
        });
        assert!(said(&report).ends_with("confirm 2a."), "{}", said(&report));
    }
}
