//! What is sent: nothing, bytes, or a part of a file.
//!
//! A file is read by `preadv2(RWF_NOWAIT)` in place, which answers at once from the page cache, and
//! by a blocking task only when the kernel would have to wait for the disk. Chunks are 32 KiB from a
//! pool: hyper queues up to 16 of them a connection, so the chunk size bounds what a client that
//! stops reading can hold (1 MiB chunks were measured to cost gigabytes).

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

/// The size of a chunk of a file.
const CHUNK: usize = 32 * 1024;
/// The most idle buffers kept for the next reader: 4 MiB.
const POOLED: usize = 128;

/// Buffers that were used and wait for the next use.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Pool {
    fn take(&self) -> Box<[u8]> {
        let pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice())
    }

    fn give(&self, buffer: Box<[u8]>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < POOLED && buffer.len() == CHUNK {
            free.push(buffer);
        }
    }
}

/// The next bytes to send.
pub(crate) enum Chunk {
    Bytes(Bytes),
    Pooled(Pooled),
}

/// A filled buffer that goes back to its pool when it was sent.
pub(crate) struct Pooled {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    pool: Pool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Pooled(pooled) => pooled.end - pooled.start,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Pooled(pooled) => pooled.buffer.get(pooled.start..pooled.end).unwrap_or_default(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Pooled(pooled) => pooled.start = pooled.end.min(pooled.start + count),
        }
    }
}

/// The body of an answer.
pub(crate) enum ReplyBody {
    Empty,
    Bytes(Bytes),
    File(FileBody),
}

impl From<Vec<u8>> for ReplyBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// A buffer, and how much of it was read.
type Read = (Box<[u8]>, io::Result<usize>);

/// `left` bytes of a file from `offset` on.
pub(crate) struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    pool: Pool,
    sent: Arc<AtomicU64>,
    reading: Option<JoinHandle<Read>>,
}

impl FileBody {
    /// The part of `file`; what is sent is counted in `sent`.
    pub(crate) fn new(file: File, offset: u64, left: u64, pool: Pool, sent: Arc<AtomicU64>) -> Self {
        Self {
            file: Arc::new(file),
            offset,
            left,
            pool,
            sent,
            reading: None,
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Chunk>> {
        let (buffer, outcome) = match self.reading.as_mut() {
            Some(reading) => {
                let joined = std::task::ready!(Pin::new(reading).poll(cx));
                self.reading = None;
                joined.map_err(io::Error::other)?
            }
            None => match self.read_now() {
                Some(done) => done,
                None => {
                    self.start_reading();
                    // The new task must know whom to wake.
                    return self.poll_chunk(cx);
                }
            },
        };
        Poll::Ready(self.filled(buffer, outcome))
    }

    /// Reads what the page cache has; `None` when the kernel would wait.
    fn read_now(&self) -> Option<Read> {
        let mut buffer = self.pool.take();
        let want = want(self.left);
        let slice = buffer.get_mut(..want)?;
        let read = rustix::io::preadv2(
            &*self.file,
            &mut [IoSliceMut::new(slice)],
            self.offset,
            ReadWriteFlags::NOWAIT,
        );
        match read {
            // Not cached, or a file system that does not know the flag: both go to a blocking task.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS | Errno::INVAL) => {
                self.pool.give(buffer);
                None
            }
            outcome => Some((buffer, outcome.map_err(io::Error::from))),
        }
    }

    fn start_reading(&mut self) {
        let (file, offset, want) = (self.file.clone(), self.offset, want(self.left));
        let mut buffer = self.pool.take();
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let slice = buffer.get_mut(..want).unwrap_or_default();
            let outcome = read_some(&file, slice, offset);
            (buffer, outcome)
        }));
    }

    fn filled(&mut self, buffer: Box<[u8]>, outcome: io::Result<usize>) -> io::Result<Chunk> {
        let read = match outcome {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than its recorded size",
            )),
            outcome => outcome,
        };
        let end = match read {
            Ok(end) => end,
            Err(error) => {
                self.pool.give(buffer);
                tracing::error!(%error, "registry: a blob could not be read to its end");
                return Err(error);
            }
        };
        self.offset += end as u64;
        self.left = self.left.saturating_sub(end as u64);
        self.sent.fetch_add(end as u64, Ordering::Relaxed);
        Ok(Chunk::Pooled(Pooled {
            buffer,
            start: 0,
            end,
            pool: self.pool.clone(),
        }))
    }
}

/// How much of a chunk is still wanted.
fn want(left: u64) -> usize {
    usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))
}

fn read_some(file: &File, slice: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(slice, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

impl Body for ReplyBody {
    type Data = Chunk;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Chunk>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(Chunk::Bytes(std::mem::take(bytes)))))),
            Self::File(file) if file.left == 0 => Poll::Ready(None),
            Self::File(file) => file.poll_chunk(cx).map(|chunk| Some(chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.left,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::io::Write as _;

    fn body(content: &[u8], offset: u64, left: u64, folder: Option<&str>) -> (ReplyBody, Pool) {
        let mut file = match folder {
            Some(folder) => tempfile::tempfile_in(folder).unwrap(),
            None => tempfile::tempfile().unwrap(),
        };
        file.write_all(content).unwrap();
        let pool = Pool::default();
        let sent = Arc::new(AtomicU64::new(0));
        let body = FileBody::new(file, offset, left, pool.clone(), sent);
        (ReplyBody::File(body), pool)
    }

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_file_is_sent_whole_and_in_part() {
        let all = content(3 * CHUNK + 17);
        for (offset, left) in [
            (0, all.len()),
            (1, 1),
            (CHUNK - 1, CHUNK + 2),
            (all.len() - 1, 1),
            (5, 0),
        ] {
            let (body, _) = body(&all, offset as u64, left as u64, None);
            assert_eq!(body.size_hint().exact(), Some(left as u64));
            let sent = body.collect().await.unwrap().to_bytes();
            assert!(*sent == all[offset..offset + left], "{offset} {left}");
        }
    }

    /// tmpfs may not know `RWF_NOWAIT`: the blocking path.
    #[tokio::test]
    async fn a_file_system_without_nowait_serves_too() {
        let all = content(CHUNK + 1);
        let (body, _) = body(&all, 0, all.len() as u64, Some("/dev/shm"));
        assert!(*body.collect().await.unwrap().to_bytes() == all[..]);
    }

    #[tokio::test]
    async fn a_file_cut_short_is_an_error_and_no_short_success() {
        let (body, _) = body(&content(10), 0, 11, None);
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn buffers_go_back_to_the_pool() {
        let all = content(20 * CHUNK);
        let (mut body, pool) = body(&all, 0, all.len() as u64, None);
        while let Some(frame) = body.frame().await {
            drop(frame);
        }
        assert_eq!(pool.0.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_blocking_path_reads_the_same() {
        let all = content(2 * CHUNK + 3);
        let (body, _) = body(&all, 0, all.len() as u64, None);
        let ReplyBody::File(mut file) = body else { panic!() };
        let mut got = Vec::new();
        while file.left > 0 {
            file.start_reading();
            let chunk = std::future::poll_fn(|cx| file.poll_chunk(cx)).await.unwrap();
            got.extend_from_slice(chunk.chunk());
        }
        assert!(got == all);
    }
}
