//! A registry as a place that images are read from and written to.
//!
//! Guarantees: content asked for by digest is hashed against *that* digest, whatever the headers
//! say; every body has a cap; one `Accept` for HEAD and GET, so that both speak of one manifest.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::Deserialize;
use syncd_config::reference::Target;
use syncd_config::{Digest, RegistryHost, Repository, Tag};

use super::error::{ErrorKind, RegistryError};
use super::graph;
use super::http::{
    Location, RegistryClient, RegistryRequest, RegistryResponse, RequestBody, RequestTarget, Scope,
};
use super::quirks::Quirks;
use super::store::{BlobStream, Descriptor, ImageSink, ImageSource, Manifest, ManifestHead, Touch};

/// What syncd carries, and then anything: a registry that holds something else should say so by
/// its `Content-Type` instead of a 404.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const TAG_PAGE: usize = 4 << 20;
const MAX_TAG_PAGES: usize = 1_000;
const MAX_TAGS: usize = 100_000;

/// One registry. Clones share connections and open upload sessions.
#[derive(Clone)]
pub struct Remote {
    pub(super) client: RegistryClient,
    pub(super) host: RegistryHost,
    pub(super) quirks: Quirks,
    /// Whether tokens ask for the right to push, also for reads: one token a repository.
    push: bool,
    /// Sessions that the registry opened in the place of a mount, to be used by the next upload.
    pub(super) sessions: Arc<Mutex<HashMap<(Repository, Digest), Location>>>,
}

impl Remote {
    /// A registry to read from.
    #[must_use]
    pub fn source(client: RegistryClient, host: RegistryHost) -> Self {
        Self {
            client,
            quirks: Quirks::of(&host),
            host,
            push: false,
            sessions: Arc::default(),
        }
    }

    /// A registry to write to (and read back from).
    #[must_use]
    pub fn destination(client: RegistryClient, host: RegistryHost) -> Self {
        Self {
            push: true,
            ..Self::source(client, host)
        }
    }

    /// The registry.
    #[must_use]
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// All tags of a repository, at most 100,000.
    ///
    /// # Errors
    ///
    /// When the registry fails, or answers more than the caps allow.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        const OPERATION: &str = "list tags";
        let mut request = self.request(OPERATION, Method::GET, repository, "tags/list?n=1000");
        let mut seen = HashSet::new();
        let mut tags = Vec::new();
        for _ in 0..MAX_TAG_PAGES {
            let response = self.client.send(&self.host, request).await?;
            let next = response.next_page()?;
            let body = response.bytes(TAG_PAGE).await?;
            let page: TagPage = serde_json::from_slice(&body)
                .map_err(|e| self.error(ErrorKind::Malformed, OPERATION).caused_by(e))?;
            let before = tags.len();
            let page = page.tags.unwrap_or_default();
            // A name that is no tag cannot be asked for: left out.
            let fresh = page.iter().filter_map(|t| t.parse::<Tag>().ok());
            tags.extend(fresh.filter(|tag| seen.insert(tag.clone())));
            if tags.len() > MAX_TAGS {
                return Err(self
                    .error(ErrorKind::TooLarge, OPERATION)
                    .detail("over 100,000 tags"));
            }
            match next {
                None => return Ok(tags),
                Some(_) if tags.len() == before => {
                    let error = self.error(ErrorKind::Malformed, OPERATION);
                    return Err(error.detail("a page without a new tag links to a next one"));
                }
                Some(next) => {
                    request = self.request(OPERATION, Method::GET, repository, "");
                    request.target = RequestTarget::Location(next);
                }
            }
        }
        Err(self
            .error(ErrorKind::TooLarge, OPERATION)
            .detail("over 1,000 pages of tags"))
    }

    /// A request about `repository`, with the scope that this side needs.
    pub(super) fn request(
        &self,
        operation: &'static str,
        method: Method,
        repository: &Repository,
        rest: &str,
    ) -> RegistryRequest {
        let scope = Scope {
            repository: Some(repository.clone()),
            push: self.push,
            mount_from: None,
        };
        RegistryRequest::new(operation, method, format!("/v2/{repository}/{rest}"), scope)
    }

    pub(super) fn error(&self, kind: ErrorKind, operation: &str) -> RegistryError {
        RegistryError::new(kind, self.host.as_str(), operation)
    }

    async fn manifest_request(
        &self,
        operation: &'static str,
        method: Method,
        repository: &Repository,
        target: &Target,
    ) -> Result<RegistryResponse, RegistryError> {
        let mut request = self.request(operation, method, repository, &format!("manifests/{target}"));
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static(MANIFEST_TYPES));
        self.client.send(&self.host, request).await
    }

    /// What the registry answers to HEAD (or GET, which has words when it refuses) for a manifest,
    /// as it is: whether a pull is allowed there.
    ///
    /// # Errors
    /// Any other answer than 2xx, by kind.
    pub async fn try_manifest(
        &self,
        method: Method,
        repository: &Repository,
        target: &Target,
    ) -> Result<RegistryResponse, RegistryError> {
        self.manifest_request("look up the manifest", method, repository, target)
            .await
    }

    /// What HEAD says, when it says a digest.
    fn told(
        &self,
        headers: &HeaderMap,
        target: &Target,
        operation: &str,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        let Some(told) = self.content_digest(headers, operation)? else {
            return Ok(None);
        };
        let digest = match target {
            Target::Tag(_) => told,
            Target::Digest(asked) if asked.algorithm() == told.algorithm() && *asked != told => {
                let error = self.error(ErrorKind::Integrity, operation);
                return Err(error.detail("the registry answers with another digest than asked for"));
            }
            Target::Digest(asked) => asked.clone(),
        };
        Ok(Some(ManifestHead {
            digest,
            size: number(headers.get(CONTENT_LENGTH)),
            media_type: media_type(headers),
        }))
    }

    /// `Docker-Content-Digest`, parsed before it is used for anything.
    fn content_digest(&self, headers: &HeaderMap, operation: &str) -> Result<Option<Digest>, RegistryError> {
        let Some(value) = headers.get(CONTENT_DIGEST) else {
            return Ok(None);
        };
        let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
        let malformed = || {
            self.error(ErrorKind::Malformed, operation)
                .detail("Docker-Content-Digest is no digest")
        };
        parsed.map(Some).ok_or_else(malformed)
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Manifest, RegistryError> {
        const OPERATION: &str = "read the manifest";
        let response = self
            .manifest_request(OPERATION, Method::GET, repository, target)
            .await?;
        let told = self.content_digest(&response.headers, OPERATION)?;
        let media_type = media_type(&response.headers);
        if media_type.as_deref() == Some("text/html") {
            let error = self.error(ErrorKind::NotARegistry, OPERATION);
            return Err(error.detail("an HTML page came in the place of a manifest"));
        }
        let bytes = response.bytes(graph::MAX_MANIFEST).await?;
        let expected = match target {
            Target::Digest(asked) => Some(asked),
            Target::Tag(_) => told.as_ref(),
        };
        if expected.is_some_and(|digest| !digest.matches(&bytes)) {
            let error = self.error(ErrorKind::Integrity, OPERATION);
            return Err(error.detail("the manifest does not have the digest it should have"));
        }
        let digest = expected.cloned().unwrap_or_else(|| Digest::sha256(&bytes));
        let media_type = media_type.or_else(|| graph::sniff(&bytes)).ok_or_else(|| {
            self.error(ErrorKind::Malformed, OPERATION)
                .detail("no Content-Type, and no manifest by its shape")
        })?;
        Ok(Manifest {
            bytes,
            media_type,
            digest,
        })
    }
}

impl ImageSource for Remote {
    async fn head(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        const OPERATION: &str = "look up the manifest";
        let answer = self
            .manifest_request(OPERATION, Method::HEAD, repository, target)
            .await;
        let response = match answer {
            Ok(response) => response,
            Err(error) if error.kind().is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some(head) = self.told(&response.headers, target, OPERATION)? {
            return Ok(Some(head));
        }
        // Some registries tell no digest on HEAD: only the content gives it.
        let manifest = self.get_manifest(repository, target).await?;
        Ok(Some(ManifestHead {
            digest: manifest.digest,
            size: Some(manifest.bytes.len() as u64),
            media_type: Some(manifest.media_type),
        }))
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Manifest, RegistryError> {
        self.get_manifest(repository, target).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, RegistryError> {
        self.download(repository, blob, offset).await
    }

    fn place(&self) -> String {
        self.host.to_string()
    }
}

impl ImageSink for Remote {
    async fn has_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<bool, RegistryError> {
        let size = self.blob_size(repository, &blob.digest).await?;
        Ok(size.is_some_and(|told| told.is_none_or(|size| size == blob.size)))
    }

    async fn mount_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        self.mount(repository, blob, from).await
    }

    async fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        content: BlobStream,
    ) -> Result<(), RegistryError> {
        self.upload(repository, blob, content).await
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        const OPERATION: &str = "write the manifest";
        let name = tag.map_or_else(|| manifest.digest.to_string(), Tag::to_string);
        let mut request = self.request(OPERATION, Method::PUT, repository, &format!("manifests/{name}"));
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|e| self.error(ErrorKind::Malformed, OPERATION).caused_by(e))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = RequestBody::Bytes(manifest.bytes.clone());
        let response = match (self.client.send(&self.host, request).await, tag) {
            (Ok(response), _) => response,
            // An immutable tag that points to this very manifest is what was wanted (ECR).
            (Err(error), Some(tag)) if error.kind() == ErrorKind::WriteRefused => {
                let head = self.head(repository, &Target::Tag(tag.clone())).await;
                return match head {
                    Ok(Some(head)) if head.digest == manifest.digest => Ok(()),
                    _ => Err(error),
                };
            }
            (Err(error), _) => return Err(error),
        };
        match self.content_digest(&response.headers, OPERATION)? {
            Some(told) if !same(&told, &manifest.digest) => {
                let error = self.error(ErrorKind::Integrity, OPERATION);
                Err(error.detail("the registry stored it under another digest"))
            }
            _ => Ok(()),
        }
    }

    async fn touch_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Touch, RegistryError> {
        self.touch(repository, blob).await
    }
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// Digests of different algorithms cannot be compared: they are not different.
fn same(a: &Digest, b: &Digest) -> bool {
    a.algorithm() != b.algorithm() || a == b
}

pub(super) fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.trim().parse().ok()
}

/// `Content-Type` without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = text.split(';').next()?.trim().to_ascii_lowercase();
    (!media_type.is_empty()).then_some(media_type)
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
