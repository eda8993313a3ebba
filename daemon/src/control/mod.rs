//! The socket by which a command asks the running daemon.
//!
//! HTTP/1 over `stateDir/syncd.sock`. The file's mode (0600) is the login: who may write the
//! daemon's files may ask it. The socket lies in place only when its mode is set, and a stale one is
//! replaced: only the holder of the store's lock opens it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

use crate::report::{CredentialReport, DaemonReport, MirrorReport, TasksReport};
use crate::status::View;

/// The most bytes of an answer that a command reads (a report over 10,000 images is below 10 MB).
const ANSWER: usize = 64 * 1024 * 1024;
const QUESTION: usize = 64 * 1024;
/// The longest path that fits a socket address (unix(7), with its final NUL).
const LONGEST: usize = 107;

/// What a command may ask of a mirror pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncRequest {
    /// Plan only.
    pub dry_run: bool,
    /// How presence is proven.
    pub verify: VerifyLevel,
}

/// How presence is proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLevel {
    /// Size and last byte of each blob, or a receipt of that.
    #[default]
    Touch,
    /// Every byte read back and hashed.
    Full,
}

/// Runs a mirror pass for a command; an error is a sentence for its person.
pub type SyncMirror =
    Arc<dyn Fn(SyncRequest) -> BoxFuture<'static, Result<MirrorReport, String>> + Send + Sync>;

/// What a command may ask of a credential pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialRequest {
    /// Plan only.
    pub dry_run: bool,
    /// The id of a removal that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_removal: Option<String>,
    /// Ask for new tokens even where none is due.
    pub renew: bool,
}

/// Runs a credential pass for a command; an error is a sentence for its person.
pub type SyncCredentials =
    Arc<dyn Fn(CredentialRequest) -> BoxFuture<'static, Result<CredentialReport, String>> + Send + Sync>;

/// What commands may have done by the daemon.
#[derive(Clone)]
pub struct Commands {
    /// A mirror pass.
    pub mirror: SyncMirror,
    /// A credential pass.
    pub credentials: SyncCredentials,
}

/// What can go wrong on either side of the socket.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("failed to reach the running daemon at {path}")]
    Connect {
        /// The socket.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The socket could not be put in place.
    #[error("failed to open the control socket {path}")]
    Listen {
        /// The socket.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The connection ended before the answer did.
    #[error("failed to hear the daemon's answer to the end: it stopped, or the connection broke")]
    Cut {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon refuses.
    #[error("failed to have it done by the running daemon: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// Another version answers.
    #[error("failed to understand the running daemon (is it another version of syncd?)")]
    Answer {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Where the socket lies.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("syncd.sock")
}

/// Opens the socket. Call it only as the holder of the store's lock.
pub fn listen(state_dir: &Path) -> Result<UnixListener, ControlError> {
    let path = socket_path(state_dir);
    open(state_dir, &path).map_err(|source| ControlError::Listen {
        path: path.display().to_string(),
        source,
    })
}

fn open(state_dir: &Path, path: &Path) -> std::io::Result<UnixListener> {
    // Made in a folder that only we may enter, and moved when its mode is right: at no time can
    // another user connect.
    let hidden = tempfile::Builder::new().prefix(".sock-").tempdir_in(state_dir)?;
    let first = hidden.path().join("s");
    let listener = with_short(&first, |short| UnixListener::bind(short))?;
    std::fs::set_permissions(&first, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&first, path)?;
    Ok(listener)
}

/// Calls `action` with a name of `path` that fits a socket address: through the folder's open
/// handle when the path itself is too long.
fn with_short<T>(path: &Path, action: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    use std::os::fd::AsRawFd;
    if path.as_os_str().len() <= LONGEST {
        return action(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return action(path);
    };
    let folder = std::fs::File::open(folder)?;
    action(
        &Path::new("/proc/self/fd")
            .join(folder.as_raw_fd().to_string())
            .join(name),
    )
}

#[derive(Clone)]
struct Server {
    view: View,
    commands: Commands,
}

/// The routes of the socket.
pub fn router(view: View, commands: Commands) -> Router {
    Router::new()
        .route(
            "/v1/report",
            get(async |State(server): State<Server>| json(&server.view.report())),
        )
        .route(
            "/v1/tasks",
            get(async |State(server): State<Server>| json(&server.view.tasks_report())),
        )
        .route(
            "/v1/sync/mirror",
            post(async |State(server): State<Server>, body: Body| sync(body, &*server.commands.mirror).await),
        )
        .route(
            "/v1/sync/credentials",
            post(async |State(server): State<Server>, body: Body| {
                sync(body, &*server.commands.credentials).await
            }),
        )
        .with_state(Server { view, commands })
}

async fn sync<Asked: DeserializeOwned, Report: Serialize>(
    body: Body,
    pass: &(dyn Fn(Asked) -> BoxFuture<'static, Result<Report, String>> + Send + Sync),
) -> Response {
    let asked = match Limited::new(body, QUESTION).collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes()),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match pass(asked).await {
        Ok(report) => json(&report),
        Err(message) => refuse(StatusCode::CONFLICT, &message),
    }
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, syncd_config::text::clean(message)).into_response()
}

/// A command's side of the socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The socket of the daemon that uses `state_dir`.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: socket_path(state_dir),
        }
    }

    /// Everything the daemon knows.
    pub async fn report(&self) -> Result<DaemonReport, ControlError> {
        self.ask(Method::GET, "/v1/report", Bytes::new()).await
    }

    /// The tasks.
    pub async fn tasks(&self) -> Result<TasksReport, ControlError> {
        self.ask(Method::GET, "/v1/tasks", Bytes::new()).await
    }

    /// Has the daemon do a mirror pass and waits for its end.
    pub async fn sync_mirror(&self, request: SyncRequest) -> Result<MirrorReport, ControlError> {
        self.have_done("/v1/sync/mirror", &request).await
    }

    /// Has the daemon do a credential pass and waits for its end.
    pub async fn sync_credentials(
        &self,
        request: &CredentialRequest,
    ) -> Result<CredentialReport, ControlError> {
        self.have_done("/v1/sync/credentials", request).await
    }

    async fn have_done<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, ControlError> {
        let body = serde_json::to_vec(request).map_err(|source| ControlError::Answer { source })?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ControlError> {
        let stream = self.connect().map_err(|source| ControlError::Connect {
            path: self.path.display().to_string(),
            source,
        })?;
        let (status, answer) = exchange(stream, method, path, body)
            .await
            .map_err(|source| ControlError::Cut { source })?;
        if !status.is_success() {
            let message = syncd_config::text::clean(&String::from_utf8_lossy(&answer));
            return Err(ControlError::Refused { message });
        }
        serde_json::from_slice(&answer).map_err(|source| ControlError::Answer { source })
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        // Connecting to a Unix socket does not wait for anybody.
        let stream = with_short(&self.path, |short| std::os::unix::net::UnixStream::connect(short))?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }
}

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "syncd")
        .body(Full::new(body))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER)
            .collect()
            .await?
            .to_bytes();
        Ok((status, body))
    };
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests;
