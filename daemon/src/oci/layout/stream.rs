//! Blobs as streams: out of a file in bounded pieces, and into one beside the network.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use syncd_config::Repository;
use tokio::task::JoinHandle;

use super::super::error::{ErrorKind, RegistryError};
use super::super::store::{BlobStream, Descriptor};
use super::disk::io_error;
use super::{BlobWriter, Layout, Result, blocking};

/// What is read or written at once off the async workers.
const PIECE: usize = 128 << 10;
/// Blobs up to here are written where they arrive: the page cache takes them at once.
const INLINE: u64 = 1 << 20;

/// The bytes of `file` from `offset` to `size`.
pub(super) fn read(place: String, file: File, offset: u64, size: u64) -> BlobStream {
    let start = (file, offset.min(size));
    stream::try_unfold(start, move |(file, at)| {
        let place = place.clone();
        async move {
            if at >= size {
                return Ok(None);
            }
            let owner = place.clone();
            let (file, bytes) =
                blocking(&owner, "read a blob", move || read_piece(&place, file, at, size)).await?;
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, (file, next))))
        }
    })
    .boxed()
}

fn read_piece(place: &str, file: File, at: u64, size: u64) -> Result<(File, Bytes)> {
    let want = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
    let mut buffer = vec![0; want];
    file.read_exact_at(&mut buffer, at)
        .map_err(|error| io_error(place, "read a blob", error))?;
    Ok((file, buffer.into()))
}

impl Layout {
    /// Writes a blob from a stream; two pieces are in memory at most.
    pub(super) async fn write_stream(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> Result<()> {
        let writer = if blob.size <= INLINE {
            self.write_inline(blob, content).await?
        } else {
            self.write_beside(blob, content).await?
        };
        if writer.written() != blob.size {
            return Err(self.wrong_size(blob, writer.written()));
        }
        let (repository, digest) = (repository.clone(), blob.digest.clone());
        let operation = format!("write blob {digest}");
        let place = self.place_name();
        blocking(&place, &operation, move || writer.commit(&repository, &digest)).await?;
        Ok(())
    }

    async fn write_inline(&self, blob: &Descriptor, mut content: BlobStream) -> Result<BlobWriter> {
        let mut writer = self.begin_blob_as(blob.digest.algorithm())?;
        while let Some(chunk) = content.try_next().await? {
            self.fits(blob, writer.written() + chunk.len() as u64)?;
            writer.write(&chunk)?;
        }
        Ok(writer)
    }

    /// Hashes and writes one piece on a blocking thread while the next one arrives.
    async fn write_beside(&self, blob: &Descriptor, mut content: BlobStream) -> Result<BlobWriter> {
        let mut busy = Beside::Idle(Box::new(self.begin_blob_as(blob.digest.algorithm())?));
        let mut total = 0;
        // The chunks as they came: gathering them in one buffer would copy every byte once more.
        let (mut piece, mut length) = (Vec::new(), 0);
        while let Some(chunk) = content.try_next().await? {
            total += chunk.len() as u64;
            self.fits(blob, total)?;
            length += chunk.len();
            piece.push(chunk);
            if length >= PIECE {
                length = 0;
                busy = self.begin_piece(busy, std::mem::take(&mut piece)).await?;
            }
        }
        let busy = self.begin_piece(busy, piece).await?;
        self.idle(busy).await
    }

    async fn begin_piece(&self, busy: Beside, piece: Vec<Bytes>) -> Result<Beside> {
        let mut writer = self.idle(busy).await?;
        Ok(Beside::Writing(tokio::task::spawn_blocking(move || {
            piece.iter().try_for_each(|chunk| writer.write(chunk))?;
            Ok(writer)
        })))
    }

    async fn idle(&self, busy: Beside) -> Result<BlobWriter> {
        match busy {
            Beside::Idle(writer) => Ok(*writer),
            Beside::Writing(task) => match task.await {
                Ok(result) => result,
                Err(error) => Err(
                    RegistryError::new(ErrorKind::Canceled, self.place_name(), "write a blob")
                        .caused_by(error),
                ),
            },
        }
    }

    fn fits(&self, blob: &Descriptor, total: u64) -> Result<()> {
        if total > blob.size {
            return Err(self.wrong_size(blob, total));
        }
        Ok(())
    }

    fn wrong_size(&self, blob: &Descriptor, got: u64) -> RegistryError {
        let detail = match got.cmp(&blob.size) {
            std::cmp::Ordering::Less => format!("it ended after {got} of {} bytes", blob.size),
            _ => format!("it has more than the {} bytes it should have", blob.size),
        };
        RegistryError::new(
            ErrorKind::Integrity,
            self.place_name(),
            format!("write blob {}", blob.digest),
        )
        .detail(&detail)
    }
}

enum Beside {
    Idle(Box<BlobWriter>),
    Writing(JoinHandle<Result<BlobWriter>>),
}
