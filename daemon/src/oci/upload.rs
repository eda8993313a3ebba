//! Sending a blob: mount, POST and one streaming PUT, or PATCHes where a registry wants them.
//!
//! Nothing is kept on the way: the source's bytes go straight into the request, and are hashed as
//! they pass. Content of a wrong digest or size breaks the upload before its last byte is out, so
//! that no registry, however trusting, stores it.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use http::{Method, StatusCode};
use syncd_config::Repository;
use syncd_config::digest::Hasher;

use super::error::{ErrorKind, RegistryError};
use super::http::{Location, Patience, RegistryRequest, RequestBody, RequestTarget};
use super::quirks::Upload;
use super::remote::Remote;
use super::store::{BlobStream, Descriptor};

const OPERATION: &str = "send the blob";

impl Remote {
    /// distribution-spec, "Mounting a blob from another repository". A registry that will not
    /// mount opens a session (202): it is kept for the upload that follows.
    pub(super) async fn mount(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        let rest = format!("blobs/uploads/?mount={}&from={from}", blob.digest);
        let mut request = self.request("mount the blob", Method::POST, repository, &rest);
        request.scope.mount_from = Some(from.clone());
        match self.client.send(&self.host, request).await {
            Ok(response) if response.status == StatusCode::CREATED => Ok(true),
            Ok(response) => {
                if let Some(location) = response.location()? {
                    let key = (repository.clone(), blob.digest.clone());
                    self.open_sessions().insert(key, location);
                }
                Ok(false)
            }
            // Whatever is wrong with mounting here (400, 404, 405, no right on the other repository),
            // the upload works or tells the truth.
            Err(_) => Ok(false),
        }
    }

    /// Sends the blob by the way the registry wants.
    pub(super) async fn upload(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> Result<(), RegistryError> {
        let session = self.session(repository, blob).await?;
        let content = checked(content, blob, self.host.as_str());
        let sent = match self.quirks.upload {
            Upload::Monolithic => self.put(repository, blob, &session, content).await,
            Upload::OnePatch => self.patched(repository, blob, &session, content, None).await,
            Upload::Chunked(size) if blob.size > size => {
                self.patched(repository, blob, &session, content, Some(size))
                    .await
            }
            Upload::Chunked(_) => self.put(repository, blob, &session, content).await,
        };
        let Err(error) = sent else { return Ok(()) };
        self.abandon(repository, session).await;
        Err(error)
    }

    /// Ends the sessions that mounts opened and no upload used.
    pub async fn end_sessions(&self) {
        let open: Vec<_> = self.open_sessions().drain().collect();
        for ((repository, _), location) in open {
            self.abandon(&repository, location).await;
        }
    }

    fn open_sessions(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::HashMap<(Repository, syncd_config::Digest), Location>>
    {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session(&self, repository: &Repository, blob: &Descriptor) -> Result<Location, RegistryError> {
        let key = (repository.clone(), blob.digest.clone());
        let opened = self.open_sessions().remove(&key);
        if let Some(location) = opened {
            return Ok(location);
        }
        let request = self.request("start the upload", Method::POST, repository, "blobs/uploads/");
        let response = self.client.send(&self.host, request).await?;
        response.location()?.ok_or_else(|| {
            self.error(ErrorKind::Malformed, "start the upload")
                .detail("the answer has no Location")
        })
    }

    fn to(&self, method: Method, repository: &Repository, location: Location) -> RegistryRequest {
        let mut request = self.request(OPERATION, method, repository, "");
        request.target = RequestTarget::Location(location);
        request
    }

    /// The whole content in the request that ends the upload.
    async fn put(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        session: &Location,
        content: BlobStream,
    ) -> Result<(), RegistryError> {
        let body = body(content, blob.size).await?;
        self.finish(repository, blob, session.clone(), body).await
    }

    async fn finish(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        session: Location,
        body: RequestBody,
    ) -> Result<(), RegistryError> {
        let location = session.with_query("digest", &blob.digest.to_string());
        let mut request = self.to(Method::PUT, repository, location);
        request.headers.insert(CONTENT_TYPE, octets());
        request.body = body;
        request.patience = Patience::EndOfUpload;
        self.client.send(&self.host, request).await.map(|_| ())
    }

    /// distribution-spec, "Pushing a blob in chunks". Without `chunk` all goes in one PATCH.
    async fn patched(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        session: &Location,
        content: BlobStream,
        chunk: Option<u64>,
    ) -> Result<(), RegistryError> {
        let content = Pieces::new(content);
        let mut location = session.clone();
        let mut sent = 0;
        while sent < blob.size {
            let length = chunk.unwrap_or(blob.size).min(blob.size - sent);
            let mut request = self.to(Method::PATCH, repository, location.clone());
            request.headers.insert(CONTENT_TYPE, octets());
            let last = sent + length - 1;
            if chunk.is_some() {
                let value = HeaderValue::from_str(&format!("{sent}-{last}"))
                    .map_err(|e| self.error(ErrorKind::Malformed, OPERATION).caused_by(e))?;
                request.headers.insert(CONTENT_RANGE, value);
            }
            request.body = body(content.next(length), length).await?;
            let response = self.client.send(&self.host, request).await?;
            let kept = response.headers.get(RANGE).and_then(|r| r.to_str().ok());
            if kept.is_some_and(|kept| !kept.ends_with(&format!("-{last}"))) {
                let error = self.error(ErrorKind::Malformed, OPERATION);
                return Err(error.detail("the registry kept another part of the blob than was sent"));
            }
            location = response.location()?.unwrap_or(location);
            sent += length;
        }
        // An empty blob has no piece: its digest is still checked.
        let rest = body(content.next(0), 0).await?;
        self.finish(repository, blob, location, rest).await
    }

    /// Ends a session so that it does not fill the registry's disk. Best effort.
    async fn abandon(&self, repository: &Repository, session: Location) {
        let mut request = self.to(Method::DELETE, repository, session);
        request.operation = "end the upload";
        let once = self.client.without_retries();
        if let Err(error) = once.send(&self.host, request).await {
            tracing::debug!(registry = %self.host, error = %error, "an upload session was left open");
        }
    }
}

fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

/// A request body of the stream. An empty one is drained here, for its check.
async fn body(mut stream: BlobStream, len: u64) -> Result<RequestBody, RegistryError> {
    if len > 0 {
        return Ok(RequestBody::Stream { len, stream });
    }
    while let Some(chunk) = stream.next().await {
        chunk?;
    }
    Ok(RequestBody::Bytes(Bytes::new()))
}

struct Checking {
    content: BlobStream,
    hasher: Hasher,
    left: u64,
    blob: Descriptor,
    place: String,
    done: bool,
}

/// The content, hashed as it passes. The last chunk comes only when the content has ended and has
/// its digest; so a request that fails with the stream was never whole.
fn checked(content: BlobStream, blob: &Descriptor, place: &str) -> BlobStream {
    let state = Checking {
        content,
        hasher: Hasher::new(blob.digest.algorithm()),
        left: blob.size,
        blob: blob.clone(),
        place: place.to_owned(),
        done: false,
    };
    stream::try_unfold(state, |mut state| async move {
        let chunk = state.next().await?;
        Ok(chunk.map(|chunk| (chunk, state)))
    })
    .boxed()
}

impl Checking {
    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        if self.done {
            return Ok(None);
        }
        let chunk = self.content.next().await.transpose()?;
        let Some(chunk) = chunk else {
            if self.left > 0 {
                return Err(self.wrong("it ended before its size"));
            }
            // Only an empty blob ends here.
            return self.check().map(|()| None);
        };
        self.take(&chunk)?;
        if self.left > 0 || self.blob.size == 0 {
            return Ok(Some(chunk));
        }
        while let Some(more) = self.content.next().await.transpose()? {
            self.take(&more)?;
        }
        self.check().map(|()| Some(chunk))
    }

    fn take(&mut self, chunk: &Bytes) -> Result<(), RegistryError> {
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or_else(|| self.wrong("it is longer than its size"))?;
        self.hasher.update(chunk);
        Ok(())
    }

    fn check(&mut self) -> Result<(), RegistryError> {
        self.done = true;
        if self.hasher.clone().finish() == self.blob.digest {
            Ok(())
        } else {
            Err(self.wrong("its bytes do not have its digest"))
        }
    }

    fn wrong(&self, what: &str) -> RegistryError {
        let operation = format!("pass on blob {}", self.blob.digest);
        RegistryError::new(ErrorKind::Integrity, self.place.clone(), operation).detail(what)
    }
}

/// A stream given out in pieces of exact length.
#[derive(Clone)]
struct Pieces(Arc<tokio::sync::Mutex<(BlobStream, Bytes)>>);

impl Pieces {
    fn new(stream: BlobStream) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new((stream, Bytes::new()))))
    }

    /// The next `length` bytes; with 0 what is left, which should be nothing.
    fn next(&self, length: u64) -> BlobStream {
        let state = (self.clone(), length);
        stream::try_unfold(state, move |(pieces, left)| async move {
            if left == 0 && length > 0 {
                return Ok(None);
            }
            let mut guard = pieces.0.lock().await;
            let (stream, rest) = &mut *guard;
            let mut chunk = std::mem::take(rest);
            while chunk.is_empty() {
                match stream.next().await {
                    Some(next) => chunk = next?,
                    None => return Ok(None),
                }
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            if length > 0 {
                *rest = chunk.split_off(take);
            }
            drop(guard);
            let left = left.saturating_sub(chunk.len() as u64);
            Ok(Some((chunk, (pieces, left))))
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt as _;
    use syncd_config::Digest;

    fn descriptor(content: &[u8]) -> Descriptor {
        let size = content.len();
        let text = serde_json::json!({"mediaType": "x", "size": size, "digest": Digest::sha256(content)});
        serde_json::from_value(text).unwrap()
    }

    fn chunks(parts: &[&'static [u8]]) -> BlobStream {
        let parts: Vec<_> = parts.iter().map(|p| Ok(Bytes::from_static(p))).collect();
        stream::iter(parts).boxed()
    }

    #[tokio::test]
    async fn content_that_is_not_the_blob_never_gets_out_whole() {
        const DIGEST: &str = "its bytes do not have its digest";
        const LONGER: &str = "it is longer than its size";
        let whole = b"hello world".as_slice();
        type Case<'a> = (&'a [&'static [u8]], &'a [u8], Result<usize, &'a str>);
        let cases: [Case<'_>; 8] = [
            (&[b"hello ", b"world"], whole, Ok(11)),
            (&[b"hello ", b"", b"world", b""], whole, Ok(11)),
            (&[b"hello ", b"w0rld"], whole, Err(DIGEST)),
            (&[b"hello "], whole, Err("it ended before its size")),
            (&[b"hello world", b"!"], whole, Err(LONGER)),
            (&[b"hello world!"], whole, Err(LONGER)),
            (&[], b"", Ok(0)),
            (&[b"x"], b"", Err(LONGER)),
        ];
        for (parts, content, expected) in cases {
            let mut stream = checked(chunks(parts), &descriptor(content), "h");
            let (mut out, mut fault) = (0, None);
            while let Some(item) = stream.next().await {
                match item {
                    Ok(bytes) => out += bytes.len(),
                    Err(error) => fault = Some(error),
                }
            }
            match expected {
                Ok(length) => assert_eq!((out, fault.is_none()), (length, true)),
                Err(detail) => {
                    let fault = fault.unwrap();
                    assert_eq!(
                        (fault.kind(), fault.detail.as_str()),
                        (ErrorKind::Integrity, detail)
                    );
                    assert!(out < 11, "{out} bytes got out");
                }
            }
        }
    }

    #[tokio::test]
    async fn pieces_have_exact_lengths() {
        let pieces = Pieces::new(chunks(&[b"abc", b"defgh", b"", b"ij"]));
        let mut out = Vec::new();
        for length in [4, 4, 2] {
            let piece: Vec<Bytes> = pieces.next(length).try_collect().await.unwrap();
            out.push(String::from_utf8(piece.concat()).unwrap());
        }
        assert_eq!(out, ["abcd", "efgh", "ij"]);
        let rest: Vec<Bytes> = pieces.next(0).try_collect().await.unwrap();
        assert!(rest.is_empty());
    }
}
