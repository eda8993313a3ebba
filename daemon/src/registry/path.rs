//! What a request names: the path of distribution-spec 1.1, read from its right end because a
//! repository name has slashes in it.

use std::borrow::Cow;

use http::StatusCode;
use syncd_config::Digest;
use syncd_config::reference::{ReferenceError, Target};

use super::error::{Code, Refusal};

/// The longest request target that is looked at.
const LONGEST: usize = 8 * 1024;

/// One of the API's endpoints. Names are as written: `images::mapping` gives them a meaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/manifests/<reference>`. The reference may be one that cannot exist: reading it is
    /// "not found", writing it is "invalid".
    Manifest {
        name: String,
        target: Result<Target, ReferenceError>,
    },
    /// `/v2/<name>/blobs/<digest>`
    Blob { name: String, digest: Digest },
    /// `/v2/<name>/blobs/uploads/`
    Uploads { name: String },
    /// `/v2/<name>/blobs/uploads/<session>`
    Upload { name: String, session: String },
    /// `/v2/<name>/tags/list`
    Tags { name: String },
    /// `/v2/<name>/referrers/<digest>`
    Referrers { name: String, digest: Digest },
}

impl Route {
    /// The class for the metrics.
    pub(crate) fn class(&self) -> RouteClass {
        match self {
            Self::Ping => RouteClass::Ping,
            Self::Manifest { .. } => RouteClass::Manifest,
            Self::Blob { .. } => RouteClass::Blob,
            Self::Uploads { .. } | Self::Upload { .. } => RouteClass::Upload,
            Self::Tags { .. } | Self::Referrers { .. } | Self::Catalog => RouteClass::List,
        }
    }
}

/// The endpoints as the metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// `/v2/`
    Ping,
    /// Manifests.
    Manifest,
    /// Blobs.
    Blob,
    /// Upload sessions.
    Upload,
    /// Tags, referrers, catalog.
    List,
    /// Anything else.
    Other,
}

/// Reads the path of a request.
pub(crate) fn parse(path: &str) -> Result<Route, Refusal> {
    if path.len() > LONGEST {
        return Err(Refusal::new(
            StatusCode::URI_TOO_LONG,
            Code::NameInvalid,
            "the path is too long",
        ));
    }
    let path = unescape(path)?;
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => return Ok(Route::Ping),
        Some(rest) => rest.strip_prefix('/').ok_or_else(nowhere)?,
        None => return Err(nowhere()),
    };
    if rest == "_catalog" {
        return Ok(Route::Catalog);
    }
    // `…/blobs/uploads/` and `…/blobs/uploads`: both are met in the field.
    let rest = match rest.strip_suffix("/blobs/uploads/") {
        Some(name) => {
            return Ok(Route::Uploads {
                name: name.to_owned(),
            });
        }
        None => rest,
    };
    let (front, last) = rest.rsplit_once('/').ok_or_else(nowhere)?;
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        let (name, session) = (name.to_owned(), last.to_owned());
        return Ok(Route::Upload { name, session });
    }
    let (name, verb) = front.rsplit_once('/').ok_or_else(nowhere)?;
    let name = name.to_owned();
    match (verb, last) {
        ("blobs", "uploads") => Ok(Route::Uploads { name }),
        ("tags", "list") => Ok(Route::Tags { name }),
        ("manifests", reference) => manifest(name, reference),
        ("blobs", text) => Ok(Route::Blob {
            name,
            digest: digest(text)?,
        }),
        ("referrers", text) => Ok(Route::Referrers {
            name,
            digest: digest(text)?,
        }),
        _ => Err(nowhere()),
    }
}

fn manifest(name: String, reference: &str) -> Result<Route, Refusal> {
    let target: Result<Target, ReferenceError> = reference.parse();
    if let Err(ReferenceError::Digest(error)) = target {
        return Err(Refusal::bad(Code::DigestInvalid, error.to_string()));
    }
    Ok(Route::Manifest { name, target })
}

/// A digest from a request.
pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error: syncd_config::digest::DigestError| {
        Refusal::bad(Code::DigestInvalid, error.to_string())
    })
}

fn nowhere() -> Refusal {
    Refusal::not_found(Code::Unsupported, "no such endpoint")
}

/// Undoes escapes of characters that need none (some clients write `sha256%3A…`). Everything that
/// names may hold is such a character; an escaped slash, dot-dot trick or byte of another kind is
/// refused, so that no two readers of a path can disagree about its parts.
fn unescape(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let refused = || Refusal::bad(Code::NameInvalid, "the path has an escape that no name needs");
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).ok_or_else(refused)?;
        let byte = u8::from_str_radix(hex, 16).map_err(|_| refused())?;
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
        if !plain || hex.starts_with('+') {
            return Err(refused());
        }
        out.push(char::from(byte));
        out.push_str(rest);
    }
    Ok(Cow::Owned(out))
}

/// The parameters of a request's query that mean something here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) ns: Option<String>,
    pub(crate) n: Option<String>,
    pub(crate) last: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) mount: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) artifact_type: Option<String>,
}

/// Reads a query. A parameter given twice is refused: two readers might take different ones.
pub(crate) fn query(text: &str) -> Result<Query, Refusal> {
    let mut query = Query::default();
    if text.len() > LONGEST {
        return Err(Refusal::new(
            StatusCode::URI_TOO_LONG,
            Code::NameInvalid,
            "the query is too long",
        ));
    }
    for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let slot = match &*key {
            "ns" => &mut query.ns,
            "n" => &mut query.n,
            "last" => &mut query.last,
            "digest" => &mut query.digest,
            "mount" => &mut query.mount,
            "from" => &mut query.from,
            "artifactType" => &mut query.artifact_type,
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(Refusal::bad(
                Code::Unsupported,
                "a query parameter is given twice",
            ));
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn shown(path: &str) -> String {
        match parse(path) {
            Ok(Route::Ping) => "ping".to_owned(),
            Ok(Route::Catalog) => "catalog".to_owned(),
            Ok(Route::Manifest {
                name,
                target: Ok(target),
            }) => format!("manifest {name} {target}"),
            Ok(Route::Manifest { name, .. }) => format!("manifest {name} impossible"),
            Ok(Route::Blob { name, .. }) => format!("blob {name}"),
            Ok(Route::Uploads { name }) => format!("uploads {name}"),
            Ok(Route::Upload { name, session }) => format!("upload {name} {session}"),
            Ok(Route::Tags { name }) => format!("tags {name}"),
            Ok(Route::Referrers { name, .. }) => format!("referrers {name}"),
            Err(refusal) => format!("{} {}", refusal.status.as_u16(), refusal.code.as_str()),
        }
    }

    #[test]
    fn paths() {
        let blob = format!("/v2/a/b/blobs/{DIGEST}");
        let escaped = blob.replace(':', "%3A");
        let referrers = format!("/v2/a/referrers/{DIGEST}");
        let by_digest = format!("/v2/a/manifests/{DIGEST}");
        let by_digest_shown = format!("manifest a {DIGEST}");
        for (path, expected) in [
            ("/v2", "ping"),
            ("/v2/", "ping"),
            ("/v2/_catalog", "catalog"),
            ("/v2/a/manifests/latest", "manifest a latest"),
            ("/v2/a/b/c/manifests/1.0", "manifest a/b/c 1.0"),
            (&by_digest, &by_digest_shown),
            // Names that look like verbs.
            ("/v2/manifests/manifests/tags", "manifest manifests tags"),
            ("/v2/a/blobs/uploads/tags/list", "tags a/blobs/uploads"),
            ("/v2/blobs/uploads/manifests/x", "manifest blobs/uploads x"),
            ("/v2/a/tags/list", "tags a"),
            (&blob, "blob a/b"),
            (&escaped, "blob a/b"),
            (&referrers, "referrers a"),
            ("/v2/a/blobs/uploads/", "uploads a"),
            ("/v2/a/blobs/uploads", "uploads a"),
            ("/v2/a/blobs/uploads/0123", "upload a 0123"),
            ("/v2/a/manifests/.INVALID", "manifest a impossible"),
            ("/v2/a/manifests/", "manifest a impossible"),
            ("/v2/%61/manifests/x", "manifest a x"),
            // The name's own grammar is checked where it gets its meaning.
            ("/v2/../manifests/x", "manifest .. x"),
            ("/v2//manifests/x", "manifest  x"),
            ("/v2/manifests/x", "404 UNSUPPORTED"),
            ("/", "404 UNSUPPORTED"),
            ("/v1/", "404 UNSUPPORTED"),
            ("/v22/", "404 UNSUPPORTED"),
            ("/v2/a", "404 UNSUPPORTED"),
            ("/v2/a/", "404 UNSUPPORTED"),
            ("/v2/a/tags/lists", "404 UNSUPPORTED"),
            ("/v2/a%2Fb/manifests/x", "400 NAME_INVALID"),
            ("/v2/%2e%2e/manifests/x", "400 NAME_INVALID"),
            ("/v2/a/manifests/%00", "400 NAME_INVALID"),
            ("/v2/a/manifests/%", "400 NAME_INVALID"),
            ("/v2/a/manifests/%+1", "400 NAME_INVALID"),
            ("/v2/a/manifests/%c3%a9", "400 NAME_INVALID"),
            ("/v2/a/blobs/sha256:../../etc/passwd", "404 UNSUPPORTED"),
            ("/v2/a/blobs/sha256:abc", "400 DIGEST_INVALID"),
            (
                "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
                "400 DIGEST_INVALID",
            ),
            ("/v2/a/manifests/sha256:abc", "400 DIGEST_INVALID"),
            ("/v2/a/referrers/x", "400 DIGEST_INVALID"),
        ] {
            assert_eq!(shown(path), expected, "{path}");
        }
        assert_eq!(shown(&format!("/v2/{}", "a/".repeat(5000))), "414 NAME_INVALID");
    }

    #[test]
    fn queries() {
        let got = query("ns=docker.io&n=5&last=a%2Bb&unknown=x&n2").ok();
        let expected = Query {
            ns: Some("docker.io".to_owned()),
            n: Some("5".to_owned()),
            last: Some("a+b".to_owned()),
            ..Query::default()
        };
        assert_eq!(got, Some(expected));
        assert_eq!(query("").ok(), Some(Query::default()));
        assert!(query("ns=a&ns=b").is_err());
        assert!(query(&"a".repeat(9000)).is_err());
    }
}
