//! Writing blobs: sessions, chunks, and the end of an upload.
//!
//! A session holds a file that nobody sees; it gets a name only when its digest was checked. What a
//! broken connection leaves stays in the session, so that the client can ask how far it came and go
//! on from there. Small pieces are written in place; from 1 MiB on a blocking task writes, because a
//! disk that throttles would stall every other request on this worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use syncd_config::{Digest, Repository};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc};
use tokio::time::Instant;

use super::error::{Code, Refusal};
use crate::oci::RegistryError;
use crate::oci::layout::BlobWriter;

/// Sessions at once.
const MOST: usize = 256;
/// A session that nobody wrote to for so long is dropped.
const EXPIRY: Duration = Duration::from_secs(3600);
/// When all are taken, one that rests for so long makes room.
const RESTING: Duration = Duration::from_secs(60);
/// How long a client may pause within a body.
const IDLE: Duration = Duration::from_secs(60);
/// What is written in place before a blocking task takes over.
const INLINE: usize = 1024 * 1024;
/// Pieces that wait for the blocking task.
const QUEUE: usize = 4;

/// A writer that is there until the upload ends or its file fails.
pub(crate) type Slot = Option<BlobWriter>;

/// Holds a session for one request. Given to the blocking task while that writes, so that a request
/// that is dropped in the middle leaves the session usable.
pub(crate) type Held = OwnedMutexGuard<Slot>;

struct Session {
    repository: Repository,
    owner: Arc<str>,
    slot: Arc<AsyncMutex<Slot>>,
    touched: Instant,
}

/// All upload sessions.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Session>>);

impl Uploads {
    /// Opens a session and gives its id: 128 random bits, because whoever knows it may write.
    pub(crate) fn open(
        &self,
        repository: &Repository,
        owner: &Arc<str>,
        writer: BlobWriter,
    ) -> Result<String, Refusal> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refusal::internal())?;
        let id = format!("{:032x}", u128::from_be_bytes(random));
        let now = Instant::now();
        let mut sessions = self.lock();
        make_room(&mut sessions, now)?;
        let session = Session {
            repository: repository.clone(),
            owner: owner.clone(),
            slot: Arc::new(AsyncMutex::new(Some(writer))),
            touched: now,
        };
        sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// The session for one request; another request in the middle of it is refused.
    pub(crate) fn hold(&self, id: &str, repository: &Repository, owner: &Arc<str>) -> Result<Held, Refusal> {
        let slot = {
            let mut sessions = self.lock();
            let session = sessions
                .get_mut(id)
                .filter(|session| session.repository == *repository && session.owner == *owner)
                .ok_or_else(unknown)?;
            session.touched = Instant::now();
            session.slot.clone()
        };
        let held = slot.try_lock_owned().map_err(|_| {
            let message = "another request is writing to this upload";
            Refusal::new(StatusCode::CONFLICT, Code::BlobUploadInvalid, message)
        })?;
        if held.is_none() { Err(unknown()) } else { Ok(held) }
    }

    /// Ends a session, whoever holds it.
    pub(crate) fn close(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Drops the sessions that nobody writes to any more.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.lock()
            .retain(|_, session| session.is_busy() || now - session.touched < EXPIRY);
    }

    /// Marks a session as used just now (at the end of a long request).
    pub(crate) fn touch(&self, id: &str) {
        if let Some(session) = self.lock().get_mut(id) {
            session.touched = Instant::now();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_busy(&self) -> bool {
        self.slot.try_lock().is_err()
    }
}

fn make_room(sessions: &mut HashMap<String, Session>, now: Instant) -> Result<(), Refusal> {
    if sessions.len() < MOST {
        return Ok(());
    }
    let oldest = sessions
        .iter()
        .filter(|(_, session)| now - session.touched >= RESTING && !session.is_busy())
        .min_by_key(|(_, session)| session.touched)
        .map(|(id, _)| id.clone());
    match oldest {
        Some(id) => {
            sessions.remove(&id);
            Ok(())
        }
        None => Err(Refusal::busy("too many uploads at once")),
    }
}

fn unknown() -> Refusal {
    Refusal::not_found(Code::BlobUploadUnknown, "no such upload: begin a new one")
}

/// A slot of no session, for an upload in one request.
pub(crate) fn single(writer: BlobWriter) -> Result<Held, Refusal> {
    Arc::new(AsyncMutex::new(Some(writer)))
        .try_lock_owned()
        .map_err(|_| Refusal::internal())
}

/// How far a session came.
pub(crate) fn written(held: &Held) -> u64 {
    held.as_ref().map_or(0, BlobWriter::written)
}

/// The `Range` of an upload (distribution-spec, "Pushing a blob in chunks"): first and last byte.
/// Nothing has no such form; `0-0` is what distribution says then.
pub(crate) fn range(written: u64) -> String {
    format!("0-{}", written.saturating_sub(1))
}

/// The `Content-Range` of a chunk: `<first>-<last>`, some clients write `bytes ` before and `/…`
/// after it.
pub(crate) fn content_range(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// Appends the whole body, or what comes of it. `expected` is what a `Content-Range` announced.
pub(crate) async fn append(
    mut held: Held,
    mut body: Incoming,
    expected: Option<u64>,
) -> Result<Held, Refusal> {
    let start = written(&held);
    let mut inline = 0;
    while inline < INLINE {
        let Some(bytes) = next(&mut body).await? else {
            return complete(held, start, expected);
        };
        inline += bytes.len();
        check_length(written(&held) - start, bytes.len(), expected)?;
        write(&mut held, &bytes)?;
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = tokio::task::spawn_blocking(move || write_queue(held, receiver));
    let mut received = inline as u64;
    let fed = loop {
        match next(&mut body).await {
            Ok(Some(bytes)) => {
                if let Err(refusal) = check_length(received, bytes.len(), expected) {
                    break Err(refusal);
                }
                received += bytes.len() as u64;
                if sender.send(bytes).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(refusal) => break Err(refusal),
        }
    };
    drop(sender);
    let held = writer.await.map_err(|_| Refusal::internal())??;
    fed?;
    complete(held, start, expected)
}

/// The next piece of a body.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        let slow = |_| {
            let message = "the upload stopped coming";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::BlobUploadInvalid, message)
        };
        let Some(frame) = tokio::time::timeout(IDLE, body.frame()).await.map_err(slow)? else {
            return Ok(None);
        };
        let cut = |_| Refusal::bad(Code::BlobUploadInvalid, "the upload was cut short");
        if let Ok(data) = frame.map_err(cut)?.into_data() {
            return Ok(Some(data));
        }
    }
}

fn write_queue(mut held: Held, mut queue: mpsc::Receiver<Bytes>) -> Result<Held, Refusal> {
    while let Some(bytes) = queue.blocking_recv() {
        write(&mut held, &bytes)?;
    }
    Ok(held)
}

fn write(held: &mut Held, bytes: &[u8]) -> Result<(), Refusal> {
    let writer = held.as_mut().ok_or_else(unknown)?;
    let outcome: Result<(), RegistryError> = writer.write(bytes);
    outcome.map_err(|error| {
        // How much of it reached the file is not known: the session cannot go on.
        **held = None;
        Refusal::from(error)
    })
}

fn check_length(sofar: u64, more: usize, expected: Option<u64>) -> Result<(), Refusal> {
    match expected {
        Some(expected) if sofar + more as u64 > expected => Err(wrong_length()),
        _ => Ok(()),
    }
}

fn complete(held: Held, start: u64, expected: Option<u64>) -> Result<Held, Refusal> {
    match expected {
        Some(expected) if written(&held) - start != expected => Err(wrong_length()),
        _ => Ok(held),
    }
}

fn wrong_length() -> Refusal {
    Refusal::bad(
        Code::SizeInvalid,
        "the chunk has another length than its Content-Range",
    )
}

/// Ends an upload: the blob is visible when its digest is right, and gone when it is not.
pub(crate) async fn commit(mut held: Held, repository: &Repository, digest: &Digest) -> Result<(), Refusal> {
    let writer = held.take().ok_or_else(unknown)?;
    let (repository, digest) = (repository.clone(), digest.clone());
    super::waiting(move || writer.commit(&repository, &digest))
        .await
        .map(|_size| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("0-0", Some((0, 0))),
            ("0-9", Some((0, 9))),
            ("10-19", Some((10, 19))),
            ("bytes 10-19/*", Some((10, 19))),
            ("bytes 10-19/20", Some((10, 19))),
            ("0-18446744073709551615", Some((0, u64::MAX))),
            ("0-18446744073709551616", None),
            ("99999999999999999999999-1", None),
            ("9-1", None),
            ("-1", None),
            ("1-", None),
            ("+1-2", None),
            ("0-1,2-3", None),
            ("", None),
            ("-", None),
            ("bytes", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn ranges_of_an_upload() {
        assert_eq!([range(0), range(1), range(10)], ["0-0", "0-0", "0-9"]);
    }
}
