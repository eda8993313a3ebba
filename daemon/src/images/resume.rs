//! A blob's bytes from a source that may break off: read on from the byte that was reached.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use syncd_config::Repository;

use crate::oci::store::{BlobStream, Descriptor, ImageSource};
use crate::oci::{ErrorKind, RegistryError};

/// How often one reading may break off and go on.
const MAX_RESUMES: u32 = 5;

/// Told how many bytes came.
pub(super) type Meter = Arc<dyn Fn(u64) + Send + Sync>;

struct Reading<S> {
    source: S,
    repository: Repository,
    blob: Descriptor,
    stream: Option<BlobStream>,
    at: u64,
    resumed_at: u64,
    resumes: u32,
    meter: Meter,
}

/// Opens the blob, and gives a stream that goes on after a break as long as it gets further each
/// time. Not verified: who takes the bytes hashes them all, across breaks. `later` opens it when
/// the first byte is wanted: within one registry an open reading would hold the connection that
/// starting the upload waits for.
pub(super) async fn read<S>(
    source: &S,
    repository: &Repository,
    blob: &Descriptor,
    later: bool,
    meter: Meter,
) -> Result<BlobStream, RegistryError>
where
    S: ImageSource + Clone + 'static,
{
    let stream = match later {
        true => None,
        false => Some(source.blob(repository, blob, 0).await?),
    };
    let reading = Reading {
        source: source.clone(),
        repository: repository.clone(),
        blob: blob.clone(),
        stream,
        at: 0,
        resumed_at: 0,
        resumes: 0,
        meter,
    };
    let stream = stream::try_unfold(reading, |mut reading| async move {
        let chunk = reading.next().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    });
    Ok(stream.boxed())
}

impl<S: ImageSource> Reading<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    let stream = self.source.blob(&self.repository, &self.blob, self.at).await?;
                    self.stream.insert(stream)
                }
            };
            match stream.next().await {
                Some(Ok(chunk)) => {
                    self.at += chunk.len() as u64;
                    (self.meter)(chunk.len() as u64);
                    return Ok(Some(chunk));
                }
                Some(Err(error)) => self.resume(error)?,
                None if self.at < self.blob.size => {
                    let operation = format!("read blob {}", self.blob.digest);
                    let error =
                        RegistryError::new(ErrorKind::ConnectionReset, self.source.place(), operation);
                    self.resume(error.detail("it ended before its size"))?;
                }
                None => return Ok(None),
            }
        }
    }

    /// Whether to go on after `error`.
    fn resume(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let progress = self.at > self.resumed_at;
        if !error.is_retryable() || !progress || self.resumes >= MAX_RESUMES {
            return Err(error);
        }
        tracing::debug!(error = %error, at = self.at, "reading the blob goes on after a break");
        self.resumes += 1;
        self.resumed_at = self.at;
        self.stream = None;
        Ok(())
    }
}
