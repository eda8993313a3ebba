//! Reading a blob: whole, from an offset on, or its last byte.

use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE};
use http::{HeaderMap, Method, StatusCode};
use syncd_config::{Digest, Repository};

use super::error::{ErrorKind, RegistryError};
use super::remote::{Remote, number};
use super::store::{BlobStream, Descriptor, Touch};

impl Remote {
    /// `HEAD` of a blob: its size when told; `None` when it is not there.
    pub(super) async fn blob_size(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Option<u64>>, RegistryError> {
        let request = self.request(
            "look for the blob",
            Method::HEAD,
            repository,
            &format!("blobs/{digest}"),
        );
        match self.client.send(&self.host, request).await {
            Ok(response) => Ok(Some(number(response.headers.get(CONTENT_LENGTH)))),
            Err(error) if error.kind().is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One GET for the last byte. `None`: the answer's body broke off.
    async fn last_byte(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Option<Touch>, RegistryError> {
        const OPERATION: &str = "read the last byte of the blob";
        let mut request = self.request(
            OPERATION,
            Method::GET,
            repository,
            &format!("blobs/{}", blob.digest),
        );
        let last = blob.size.saturating_sub(1);
        request
            .headers
            .insert(RANGE, range(&format!("bytes={last}-{last}"))?);
        let response = match self.client.send(&self.host, request).await {
            Ok(response) => response,
            Err(error) if error.kind().is_not_found() => return Ok(Some(Touch::Missing)),
            Err(error) if error.status == Some(416) => return Ok(Some(Touch::Damaged)),
            Err(error) => return Err(error),
        };
        let (length, expected) = if response.status == StatusCode::PARTIAL_CONTENT {
            if content_range(&response.headers) != Some((last, last, blob.size)) {
                return Ok(Some(Touch::Damaged));
            }
            (1, 1)
        } else {
            // Range was ignored (RFC 9110, 14.2 allows it): the whole blob comes.
            (blob.size, blob.size)
        };
        let mut body = response.stream(length);
        let mut got = 0u64;
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(bytes) => got += bytes.len() as u64,
                Err(error) if error.kind() == ErrorKind::TooLarge => return Ok(Some(Touch::Damaged)),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(if got == expected {
            Touch::Good
        } else {
            Touch::Damaged
        }))
    }

    /// The blob from byte `offset` on; where `Range` is ignored, what comes before is dropped.
    pub(super) async fn download(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, RegistryError> {
        const OPERATION: &str = "read the blob";
        let rest = blob.size.saturating_sub(offset);
        if offset > 0 && rest == 0 {
            return Ok(futures::stream::empty().boxed());
        }
        let mut request = self.request(
            OPERATION,
            Method::GET,
            repository,
            &format!("blobs/{}", blob.digest),
        );
        if offset > 0 {
            request.headers.insert(RANGE, range(&format!("bytes={offset}-"))?);
            request.continues = true;
        }
        let response = self.client.send(&self.host, request).await?;
        let partial = response.status == StatusCode::PARTIAL_CONTENT;
        let length = if partial { rest } else { blob.size };
        let told = number(response.headers.get(CONTENT_LENGTH));
        let last = blob.size.saturating_sub(1);
        let wrong = if partial {
            content_range(&response.headers) != Some((offset, last, blob.size))
        } else {
            told.is_some_and(|told| told != length)
        };
        if wrong {
            let error = self.error(ErrorKind::Integrity, OPERATION);
            return Err(error.detail("the registry has the blob with another size than its manifest says"));
        }
        let stream = response.stream(length);
        Ok(if partial { stream } else { skip(stream, offset) })
    }

    /// Reads the size and the last byte of a blob.
    pub(super) async fn touch(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Touch, RegistryError> {
        if blob.size == 0 {
            return Ok(match self.blob_size(repository, &blob.digest).await? {
                None => Touch::Missing,
                Some(None | Some(0)) => Touch::Good,
                Some(Some(_)) => Touch::Damaged,
            });
        }
        // A body that breaks off may be the network's fault once: a registry that has lost the
        // content breaks off every time (it has promised a byte that it cannot read).
        for _ in 0..2 {
            if let Some(touch) = self.last_byte(repository, blob).await? {
                return Ok(touch);
            }
        }
        Ok(Touch::Damaged)
    }
}

/// The stream without its first `skip` bytes.
fn skip(stream: BlobStream, skip: u64) -> BlobStream {
    let mut left = skip;
    stream
        .map_ok(move |mut bytes| {
            let cut = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            left -= cut as u64;
            bytes.split_off(cut)
        })
        .boxed()
}

/// `Content-Range: bytes first-last/total` (RFC 9110, 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((
        first.trim().parse().ok()?,
        last.trim().parse().ok()?,
        total.trim().parse().ok()?,
    ))
}

fn range(text: &str) -> Result<HeaderValue, RegistryError> {
    HeaderValue::from_str(text)
        .map_err(|e| RegistryError::new(ErrorKind::Malformed, "syncd", "write a Range header").caused_by(e))
}
