//! Reading and writing manifests: the bytes that came are the bytes that go.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use syncd_config::reference::{ReferenceError, Target};
use syncd_config::text::clean;
use syncd_config::{Digest, Repository, Tag};

use super::blobs::{CONTENT_DIGEST, header, is_same, not_modified};
use super::body::ReplyBody;
use super::error::{Code, Refusal};
use super::{Registry, waiting};
use crate::oci::graph::{self, Child, MAX_MANIFEST, Role};
use crate::oci::layout::Children;
use crate::oci::store::{ImageSink as _, Manifest};

/// The most missing blobs that an answer lists.
const LISTED: usize = 100;
const MISSING: &str = "the manifest points to content that is not in this repository";
/// How long a client may pause within a manifest.
const IDLE: Duration = Duration::from_secs(60);

/// What the path names, read: a reference that cannot exist is not there.
pub(crate) type Named = Result<Target, ReferenceError>;

pub(crate) fn get(
    registry: &Registry,
    repository: &Repository,
    target: &Named,
    headers: &HeaderMap,
    head: bool,
) -> Result<Response<ReplyBody>, Refusal> {
    let found = match target {
        Ok(target) => registry
            .store
            .manifest_sync(repository, target)
            .map_err(Refusal::reading)?,
        Err(_) => None,
    };
    let Some(manifest) = found else {
        return Err(unknown(registry, repository));
    };
    let etag = header(format!("\"{}\"", manifest.digest))?;
    if is_same(headers.get(IF_NONE_MATCH), &etag) {
        return not_modified(etag);
    }
    let length = manifest.bytes.len();
    let body = if head {
        ReplyBody::Empty
    } else {
        ReplyBody::Bytes(manifest.bytes)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, header(manifest.media_type)?);
    headers.insert(CONTENT_DIGEST, header(manifest.digest.to_string())?);
    headers.insert(ETAG, etag);
    Ok(response)
}

/// Tells a missing repository from a missing tag: who reads the answer mends different things.
fn unknown(registry: &Registry, repository: &Repository) -> Refusal {
    match registry.exists(repository) {
        Ok(true) => Refusal::not_found(Code::ManifestUnknown, "no such tag or digest in this repository"),
        Ok(false) => Refusal::not_found(Code::NameUnknown, "no such repository"),
        Err(refusal) => refusal,
    }
}

pub(crate) async fn put(
    registry: &Registry,
    repository: &Repository,
    target: &Named,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Response<ReplyBody>, Refusal> {
    let target = match target {
        Ok(target) => target,
        Err(error) => return Err(Refusal::bad(Code::ManifestInvalid, error.to_string())),
    };
    let bytes = read(body).await?;
    registry.received(bytes.len() as u64);
    let (digest, tag) = match target {
        Target::Tag(tag) => (Digest::sha256(&bytes), Some(tag)),
        Target::Digest(digest) if digest.matches(&bytes) => (digest.clone(), None),
        Target::Digest(_) => {
            return Err(Refusal::bad(
                Code::DigestInvalid,
                "the manifest has another digest",
            ));
        }
    };
    let manifest = Manifest {
        media_type: media_type(headers, &bytes)?,
        bytes,
        digest,
    };
    let node = graph::parse(&manifest).map_err(|error| {
        let status = match error {
            graph::GraphError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, Code::ManifestInvalid, clean(&error.to_string()))
    })?;
    check_children(registry, repository, &node.children).await?;
    store(registry, repository, manifest.clone(), tag.cloned()).await?;
    let mut response = Response::new(ReplyBody::Empty);
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(
        LOCATION,
        header(format!("/v2/{repository}/manifests/{}", manifest.digest))?,
    );
    headers.insert(CONTENT_DIGEST, header(manifest.digest.to_string())?);
    Ok(response)
}

async fn store(
    registry: &Registry,
    repository: &Repository,
    manifest: Manifest,
    tag: Option<Tag>,
) -> Result<(), Refusal> {
    let (store, repository) = (registry.store.clone(), repository.clone());
    let put = move || store.put_manifest_sync(&repository, &manifest, tag.as_ref(), Children::Required);
    waiting(put).await.map_err(|refusal| match refusal.code {
        // A child that went away since it was looked for.
        Code::BlobUnknown | Code::ManifestUnknown => Refusal::bad(Code::ManifestBlobUnknown, MISSING),
        _ => refusal,
    })
}

/// The whole body, at most 4 MiB of it and never by what `Content-Length` says.
async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    loop {
        let slow = |_| {
            Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                Code::ManifestInvalid,
                "the manifest stopped coming",
            )
        };
        let Some(frame) = tokio::time::timeout(IDLE, body.frame()).await.map_err(slow)? else {
            return Ok(bytes.freeze());
        };
        let cut = |_| Refusal::bad(Code::ManifestInvalid, "the manifest was cut short");
        let Ok(data) = frame.map_err(cut)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > MAX_MANIFEST {
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::SizeInvalid,
                "a manifest has at most 4 MiB",
            ));
        }
        bytes.extend_from_slice(&data);
    }
}

/// What the client says the manifest is; without a word, what the bytes say. `graph::parse` then
/// refuses a manifest whose own `mediaType` says something else (CVE-2021-41190: the same bytes
/// read as two things).
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> Result<String, Refusal> {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.and_then(|text| text.split(';').next()).map(str::trim);
    match said {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => graph::sniff(bytes)
            .ok_or_else(|| Refusal::bad(Code::ManifestInvalid, "not a manifest, and no Content-Type")),
    }
}

/// A manifest is stored only when what it points to is there. A subject need not be
/// (distribution-spec, "Pushing Manifests with Subject"), nor what its maker forbids to distribute.
async fn check_children(
    registry: &Registry,
    repository: &Repository,
    children: &[Child],
) -> Result<(), Refusal> {
    let mut missing = Vec::new();
    for child in children {
        let descriptor = &child.descriptor;
        let manifest = || {
            let target = Target::Digest(descriptor.digest.clone());
            let found = registry
                .store
                .manifest_sync(repository, &target)
                .map_err(Refusal::reading)?;
            Ok::<_, Refusal>(found.is_some_and(|m| m.bytes.len() as u64 == descriptor.size))
        };
        let there = match child.role {
            Role::Foreign(_) => true,
            Role::Manifest => manifest()?,
            Role::Unknown => manifest()? || registry.store.has_blob(repository, descriptor).await?,
            Role::Config | Role::Layer(_) | Role::Blob(_) => {
                registry.store.has_blob(repository, descriptor).await?
            }
        };
        if !there && missing.len() < LISTED {
            missing.push(descriptor.digest.to_string());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::bad(Code::ManifestBlobUnknown, MISSING).details(missing))
}
