//! The registry's routes, after distribution-spec 1.1 "Pull".

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_RANGES, CONTENT_RANGE, RANGE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, Method};

use super::content::Repository;
use super::login::{basic, refuse, sent, token};
use super::reply::{Refusal, Reply, bytes_reply, cut, set, without_body};
use super::{Fault, Shared};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts) -> Reply {
    let reply = match parts.method {
        Method::GET | Method::HEAD => route(shared, parts),
        _ => Refusal::new(405, "UNSUPPORTED", "the operation is unsupported").reply(),
    };
    if parts.method == Method::HEAD {
        without_body(reply)
    } else {
        reply
    }
}

/// What a path asks for.
enum What<'a> {
    Manifest(&'a str),
    Blob(&'a str),
    Tags,
}

fn route(shared: &Shared, parts: &Parts) -> Reply {
    let path = parts.uri.path();
    if path == "/token" {
        return token(shared, parts);
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return bytes_reply(404, "text/plain", Bytes::from_static(b"404 page not found\n"));
    };
    if rest.is_empty() {
        return refuse(shared, parts, None)
            .unwrap_or_else(|| bytes_reply(200, "application/json", Bytes::from_static(b"{}")));
    }
    let Some((name, what)) = parse(rest) else {
        return bytes_reply(404, "text/plain", Bytes::from_static(b"404 page not found\n"));
    };
    if !is_name(name) {
        return Refusal::new(400, "NAME_INVALID", "invalid repository name").reply();
    }
    let found = shared.state().repositories.get(name).cloned();
    if found.as_ref().is_some_and(|found| found.fault == Fault::Echo) && sent(parts).is_some() {
        return echo(401, parts);
    }
    if let Some(refusal) = refuse(shared, parts, Some(name)) {
        return refusal;
    }
    match found {
        None => Refusal::new(404, "NAME_UNKNOWN", "repository name not known to registry").reply(),
        Some(found) => of_repository(&found, parts, name, &what),
    }
}

fn parse(rest: &str) -> Option<(&str, What<'_>)> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some((name, What::Tags));
    }
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        return Some((name, What::Manifest(reference)));
    }
    let (name, digest) = rest.rsplit_once("/blobs/")?;
    Some((name, What::Blob(digest)))
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    name.split('/')
        .all(|part| part.chars().all(good) && part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:")
        .is_some_and(|rest| rest.len() == 64 && rest.chars().all(hex))
}

fn of_repository(found: &Arc<Repository>, parts: &Parts, name: &str, what: &What<'_>) -> Reply {
    match (what, &found.fault) {
        (What::Manifest(_), Fault::Manifest(refusal)) | (What::Blob(_), Fault::Blob(refusal)) => {
            refusal.reply()
        }
        (What::Tags, _) => {
            let tags: Vec<&String> = found.tags.keys().collect();
            let body = serde_json::json!({ "name": name, "tags": tags });
            bytes_reply(200, "application/json", Bytes::from(body.to_string()))
        }
        (What::Manifest(reference), _) => manifest(found, parts, reference),
        (What::Blob(digest), _) => blob(found, parts, digest),
    }
}

fn manifest(found: &Repository, parts: &Parts, reference: &str) -> Reply {
    let digest = found.tags.get(reference).map_or(reference, String::as_str);
    let Some(manifest) = found.manifests.get(digest) else {
        return Refusal::new(404, "MANIFEST_UNKNOWN", "manifest unknown").reply();
    };
    let accepted = parts.headers.get_all(ACCEPT).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.contains(&manifest.media_type) || text.contains("*/*")
    });
    if !accepted {
        let words = "manifest is of a type that the client does not accept";
        return Refusal::new(404, "MANIFEST_UNKNOWN", words).reply();
    }
    let mut reply = bytes_reply(200, &manifest.media_type, manifest.bytes.clone());
    set(&mut reply, DIGEST, digest);
    reply
}

fn blob(found: &Repository, parts: &Parts, digest: &str) -> Reply {
    if !is_digest(digest) {
        return Refusal::new(400, "DIGEST_INVALID", "invalid digest").reply();
    }
    let Some(bytes) = found.blobs.get(digest) else {
        return Refusal::new(404, "BLOB_UNKNOWN", "blob unknown to registry").reply();
    };
    let layer = found.layers.contains(digest);
    let bytes = match found.fault {
        Fault::Damaged if layer => bytes.iter().map(|byte| !byte).collect(),
        _ => bytes.clone(),
    };
    let mut reply = match range(parts, bytes.len()) {
        Some((from, to)) => {
            let whole = bytes.len();
            let mut reply = bytes_reply(206, "application/octet-stream", bytes.slice(from..=to));
            set(&mut reply, CONTENT_RANGE, &format!("bytes {from}-{to}/{whole}"));
            reply
        }
        None => bytes_reply(200, "application/octet-stream", bytes),
    };
    set(&mut reply, DIGEST, digest);
    set(&mut reply, ACCEPT_RANGES, "bytes");
    if found.fault == Fault::CutShort && layer {
        return cut(reply);
    }
    reply
}

/// One range of bytes, as clients ask for the rest or the end of a blob.
fn range(parts: &Parts, length: usize) -> Option<(usize, usize)> {
    let text = parts.headers.get(RANGE)?.to_str().ok()?;
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = length.checked_sub(1)?;
    let (from, to) = match (from.parse::<usize>().ok(), to.parse::<usize>().ok()) {
        (Some(from), to) => (from, to.unwrap_or(last).min(last)),
        (None, Some(count)) => (length.saturating_sub(count), last),
        (None, None) => return None,
    };
    (from <= to).then_some((from, to))
}

/// Repeats the credential it was sent wherever a client might print it.
pub(super) fn echo(status: u16, parts: &Parts) -> Reply {
    let sent = sent(parts).unwrap_or("nothing");
    let decoded = basic(sent).map_or_else(String::new, |(user, password)| format!("{user}:{password}"));
    let words = format!("cannot accept {sent} ({decoded}) of this client");
    let mut reply = Refusal::new(status, "UNAUTHORIZED", &words).reply();
    set(&mut reply, HeaderName::from_static("x-credential"), sent);
    set(
        &mut reply,
        HeaderName::from_static("warning"),
        &format!("299 - \"{words}\""),
    );
    set(
        &mut reply,
        HeaderName::from_static("docker-distribution-api-version"),
        &words,
    );
    let challenge = format!("Basic realm=\"{decoded}\",error=\"{sent}\"");
    set(&mut reply, WWW_AUTHENTICATE, &challenge);
    reply
}
