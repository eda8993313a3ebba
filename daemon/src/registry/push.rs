//! The endpoints that take blobs in (distribution-spec 1.1, "Pushing Blobs").

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use hyper::body::Incoming;
use syncd_config::{Digest, Repository};

use super::Registry;
use super::blobs::{CONTENT_DIGEST, header, number};
use super::body::ReplyBody;
use super::error::{Code, Refusal};
use super::path::{self, Query};
use super::uploads::{self, Held};
use crate::oci::store::{Descriptor, ImageSink as _};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Who writes where.
pub(crate) struct Pusher {
    pub(crate) repository: Repository,
    pub(crate) owner: Arc<str>,
}

/// `POST …/blobs/uploads/`: a mount, a whole blob, or a new session.
pub(crate) async fn begin(
    registry: &Registry,
    pusher: &Pusher,
    query: &Query,
    body: Incoming,
) -> Result<Response<ReplyBody>, Refusal> {
    let repository = &pusher.repository;
    if let Some(mount) = &query.mount {
        let digest = path::digest(mount)?;
        if mounted(registry, repository, &digest, query.from.as_deref()).await? {
            return created(repository, &digest);
        }
    } else if let Some(digest) = &query.digest {
        let digest = path::digest(digest)?;
        let writer = registry.store.begin_blob_as(digest.algorithm())?;
        let held = uploads::append(uploads::single(writer)?, body, None).await?;
        registry.received(uploads::written(&held));
        uploads::commit(held, repository, &digest).await?;
        return created(repository, &digest);
    }
    let writer = registry.store.begin_blob()?;
    let id = registry.uploads.open(repository, &pusher.owner, writer)?;
    progress(StatusCode::ACCEPTED, repository, &id, 0)
}

/// Whoever may push may read every repository, so a mount opens nothing that was closed.
async fn mounted(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    from: Option<&str>,
) -> Result<bool, Refusal> {
    let Some(from) = from.and_then(|from| from.parse::<Repository>().ok()) else {
        return Ok(false);
    };
    let Some((_, size)) = registry.store.blob_file(&from, digest)? else {
        return Ok(false);
    };
    let blob = Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: digest.clone(),
        size,
        data: None,
        urls: Vec::new(),
        platform: None,
        artifact_type: None,
        annotations: std::collections::BTreeMap::new(),
    };
    Ok(registry.store.mount_blob(repository, &blob, &from).await?)
}

/// `PATCH`: the next chunk.
pub(crate) async fn chunk(
    registry: &Registry,
    pusher: &Pusher,
    id: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Response<ReplyBody>, Refusal> {
    let held = hold(registry, pusher, id)?;
    let (held, written) = take_in(registry, pusher, id, held, headers, body).await?;
    drop(held);
    progress(StatusCode::ACCEPTED, &pusher.repository, id, written)
}

/// `PUT`: the last chunk, or none, and the digest.
pub(crate) async fn finish(
    registry: &Registry,
    pusher: &Pusher,
    id: &str,
    (query, headers): (&Query, &HeaderMap),
    body: Incoming,
) -> Result<Response<ReplyBody>, Refusal> {
    let missing = || Refusal::bad(Code::DigestInvalid, "the end of an upload needs ?digest=");
    let digest = path::digest(query.digest.as_deref().ok_or_else(missing)?)?;
    let held = hold(registry, pusher, id)?;
    let (held, _) = take_in(registry, pusher, id, held, headers, body).await?;
    // From here on the upload is over, whatever comes of it.
    registry.uploads.close(id);
    uploads::commit(held, &pusher.repository, &digest).await?;
    created(&pusher.repository, &digest)
}

/// `GET`: how far the upload came.
pub(crate) fn status(registry: &Registry, pusher: &Pusher, id: &str) -> Result<Response<ReplyBody>, Refusal> {
    let written = uploads::written(&hold(registry, pusher, id)?);
    progress(StatusCode::NO_CONTENT, &pusher.repository, id, written)
}

/// `DELETE`: the client gives up.
pub(crate) fn cancel(registry: &Registry, pusher: &Pusher, id: &str) -> Result<Response<ReplyBody>, Refusal> {
    hold(registry, pusher, id)?;
    registry.uploads.close(id);
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn hold(registry: &Registry, pusher: &Pusher, id: &str) -> Result<Held, Refusal> {
    registry.uploads.hold(id, &pusher.repository, &pusher.owner)
}

async fn take_in(
    registry: &Registry,
    pusher: &Pusher,
    id: &str,
    held: Held,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(Held, u64), Refusal> {
    let before = uploads::written(&held);
    let expected = expected(headers, before).map_err(|refusal| match refusal.status {
        // Where to go on from (distribution-spec: "the client … MAY obtain the status").
        StatusCode::RANGE_NOT_SATISFIABLE => with_progress(refusal, &pusher.repository, id, before),
        _ => refusal,
    })?;
    let outcome = uploads::append(held, body, expected).await;
    registry.uploads.touch(id);
    let held = outcome.inspect_err(|refusal| {
        if refusal.status.is_server_error() {
            registry.uploads.close(id);
        }
    })?;
    let written = uploads::written(&held);
    registry.received(written - before);
    Ok((held, written))
}

/// The length that a chunk's headers promise. One that does not begin where the last one ended is
/// refused with 416 before a byte of it is taken.
fn expected(headers: &HeaderMap, written: u64) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(None);
    };
    let malformed = || Refusal::bad(Code::BlobUploadInvalid, "the Content-Range is not <first>-<last>");
    let text = value.to_str().map_err(|_| malformed())?;
    let (first, last) = uploads::content_range(text).ok_or_else(malformed)?;
    if first != written {
        return Err(Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            Code::BlobUploadInvalid,
            "the chunk does not begin where the upload ends",
        ));
    }
    let length = (last - first).saturating_add(1);
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(number);
    if declared.is_some_and(|declared| declared != length) {
        return Err(Refusal::bad(
            Code::SizeInvalid,
            "Content-Range and Content-Length do not agree",
        ));
    }
    Ok(Some(length))
}

fn with_progress(refusal: Refusal, repository: &Repository, id: &str, written: u64) -> Refusal {
    match (header(location(repository, id)), header(uploads::range(written))) {
        (Ok(location), Ok(range)) => refusal.header(LOCATION, location).header(RANGE, range),
        _ => refusal,
    }
}

fn location(repository: &Repository, id: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

fn progress(
    status: StatusCode,
    repository: &Repository,
    id: &str,
    written: u64,
) -> Result<Response<ReplyBody>, Refusal> {
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(location(repository, id))?);
    headers.insert(RANGE, header(uploads::range(written))?);
    headers.insert(UPLOAD_ID, header(id.to_owned())?);
    Ok(response)
}

fn created(repository: &Repository, digest: &Digest) -> Result<Response<ReplyBody>, Refusal> {
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(format!("/v2/{repository}/blobs/{digest}"))?);
    headers.insert(CONTENT_DIGEST, header(digest.to_string())?);
    Ok(response)
}
