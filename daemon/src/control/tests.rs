//! The socket against itself.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Client, Commands, ControlError, CredentialRequest, SyncCredentials, SyncMirror, SyncRequest, VerifyLevel,
    listen, router, socket_path,
};
use crate::report::{ConfigStatus, CredentialReport, CredentialTotals, MirrorReport, MirrorTotals};
use crate::status::{Counters, View, serve};

fn view() -> View {
    let config = ConfigStatus {
        file: "c.yaml".to_owned(),
        loaded: Timestamp::UNIX_EPOCH,
        problem: None,
        needs_restart: Vec::new(),
    };
    View::new(Timestamp::UNIX_EPOCH, config, Counters::default()).0
}

/// Answers with a report whose byte count tells what was asked; refuses a full verification.
fn mirror() -> SyncMirror {
    Arc::new(|asked: SyncRequest| {
        Box::pin(async move {
            if asked.verify == VerifyLevel::Full {
                return Err("no mirror is configured".to_owned());
            }
            Ok(MirrorReport {
                started: Timestamp::UNIX_EPOCH,
                images: Vec::new(),
                totals: MirrorTotals {
                    bytes: u64::from(asked.dry_run),
                    ..MirrorTotals::default()
                },
            })
        })
    })
}

/// Answers with a report that tells what was asked; refuses an empty id.
fn credentials() -> SyncCredentials {
    Arc::new(|asked: CredentialRequest| {
        Box::pin(async move {
            if asked.confirm_removal.as_deref() == Some("") {
                return Err("nothing waits to be removed".to_owned());
            }
            Ok(CredentialReport {
                started: Timestamp::UNIX_EPOCH,
                registries: Vec::new(),
                targets: Vec::new(),
                removal: None,
                incomplete: asked.confirm_removal.into_iter().collect(),
                totals: CredentialTotals {
                    created: u64::from(asked.dry_run),
                    mints: u64::from(asked.renew),
                    ..CredentialTotals::default()
                },
            })
        })
    })
}

fn commands() -> Commands {
    Commands {
        mirror: mirror(),
        credentials: credentials(),
    }
}

#[tokio::test]
async fn a_command_asks_and_is_answered_also_over_a_stale_socket_and_a_long_path() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(120));
    for state_dir in [dir.path(), &long] {
        std::fs::create_dir_all(state_dir).unwrap();
        drop(listen(state_dir).unwrap());
        assert!(socket_path(state_dir).exists(), "a stale socket is left behind");
        let client = Client::new(state_dir);
        assert!(matches!(client.report().await, Err(ControlError::Connect { .. })));

        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(
            listen(state_dir).unwrap(),
            router(view(), commands()),
            None,
            stopping,
        ));
        let meta = std::fs::metadata(socket_path(state_dir)).unwrap();
        assert!(meta.file_type().is_socket());
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(state_dir)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with(".sock")
            })
            .collect();
        assert!(left.is_empty(), "{left:?}");

        assert_eq!(client.tasks().await.unwrap().config.file, "c.yaml");
        let mut asked = SyncRequest {
            dry_run: true,
            verify: VerifyLevel::Touch,
        };
        assert_eq!(client.sync_mirror(asked).await.unwrap().totals.bytes, 1);
        asked.verify = VerifyLevel::Full;
        let refused = client.sync_mirror(asked).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "failed to have it done by the running daemon: no mirror is configured"
        );

        let mut asked = CredentialRequest {
            dry_run: true,
            confirm_removal: Some("1f".to_owned()),
            renew: true,
        };
        let report = client.sync_credentials(&asked).await.unwrap();
        assert_eq!((report.totals.created, report.totals.mints), (1, 1));
        assert_eq!(report.incomplete, ["1f"]);
        asked.confirm_removal = Some(String::new());
        let refused = client.sync_credentials(&asked).await.unwrap_err();
        assert!(refused.to_string().ends_with("nothing waits to be removed"));
        stop.send_replace(true);
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_daemon_that_dies_in_the_middle_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let listener = listen(dir.path()).unwrap();
    let asking = tokio::spawn({
        let client = Client::new(dir.path());
        async move { client.report().await }
    });
    let (stream, _) = listener.accept().await.unwrap();
    drop(stream);
    assert!(matches!(asking.await.unwrap(), Err(ControlError::Cut { .. })));
}
