//! What the registry does: limits, failures, pages in place of answers, and the kind of content.

use super::rule::{Rule, any};
use crate::report::Cause as C;
use crate::report::Confidence::{Certain, Likely, Possible};

pub(super) const LIMITS: &[Rule] = &[any(
    &[&[
        "toomanyrequests",
        "too many requests",
        "pull rate limit",
        "rate limit exceeded",
        "exceeded the rate limit",
        "rate exceeded",
        "request limit exceeded",
        "#429",
        "quota exceeded for quota metric",
        "resource_exhausted",
        "slow down",
        "~throttled",
        "~throttling",
        "throttlingexception",
        "~ratelimit",
        "rate limit",
    ]],
    C::RateLimited,
    Likely,
    &[],
)];

/// The registry answered; the content is of the wrong kind.
pub(super) const CONTENT: &[Rule] = &[
    any(
        &[&[
            "media type text/html",
            "media type \"text/html",
            "mime type \"text/html",
            "mediatype text/html",
            "media type \"\"",
        ]],
        C::RegistryError,
        Likely,
        &[C::MirrorFault],
    ),
    any(
        &[&[
            "no match for platform",
            "no matching manifest for",
            "no image found in manifest list",
            "no image found in image index",
            "no image found in index",
            "image operating system",
            "container operating system does not match",
            "cannot be used on this platform",
            "no child with platform",
            "does not match the specified platform",
            "does not match the detected host platform",
            "does not provide the specified platform",
            "no matching image for platform",
            "no match for architecture",
        ]],
        C::PlatformMismatch,
        Certain,
        &[],
    ),
    any(
        &[&[
            "exec format error",
            "choosing an image from manifest list",
            "choosing image instance",
            "image architecture",
            "unsupported platform",
        ]],
        C::PlatformMismatch,
        Likely,
        &[C::NotImageProblem],
    ),
    any(
        &[&[
            "is no longer supported since containerd",
            "distribution.manifest.v1+",
            "schema version 1",
            "manifest schema 1",
            "image format v1",
            "schema1",
        ]],
        C::UnsupportedManifest,
        Likely,
        &[],
    ),
    any(
        &[&[
            "unsupported mediatype",
            "unsupported media type",
            "unsupported manifest",
            "unsupported schema version",
            "unsupported schema",
            "unsupported layer",
            "unsupported image",
            "unsupported config",
            "encountered unknown type",
            "unknown media type",
            "invalid media type",
            "invalid mediatype",
            "unexpected media type",
            "unexpected mediatype",
            "unrecognized media type",
            "unimplemented mediatype",
            "not an image",
            "manifest too large",
            "media type",
            "mediatype",
            "mime type \"application",
            "application/vnd.cncf",
            "no processor for media-type",
            "operation is unsupported",
            "needed for decryption",
            "mismatched image rootfs and manifest layers",
            "rootfs.diff_ids",
            ": no signatures$",
            "is not supported: not implemented",
            "failed to unmarshal",
            "cannot unmarshal",
        ]],
        C::UnsupportedManifest,
        Likely,
        &[C::RegistryError],
    ),
];

/// The registry fails.
pub(super) const FAILS: &[Rule] = &[any(
    &[&[
        "#5",
        "internal server error",
        "bad gateway",
        "service unavailable",
        "temporarily unavailable",
        "service is unavailable",
        "gateway timeout",
        "gateway time-out",
        "unknown: unknown error",
        "unknown: internal",
        "internal error",
        "under maintenance",
        "maintenance mode",
        "server error",
        "backend error",
        "#400",
        "#405",
        "#406",
        "#410",
    ]],
    C::RegistryError,
    Likely,
    &[],
)];

/// Pages in place of JSON whose status still tells something.
pub(super) const PAGES: &[Rule] = &[
    any(
        &[&["statuscode: 404", "404 page not found"]],
        C::RepoNotFound,
        Likely,
        &[C::MirrorFault],
    ),
    any(
        &[&["http 403 response body"], &["invalid character"]],
        C::BlockedByPolicy,
        Likely,
        &[C::PermissionDenied],
    ),
    any(
        &[&["http 404 response body"], &["invalid character"]],
        C::RepoNotFound,
        Likely,
        &[C::MirrorFault],
    ),
    any(
        &[&["http 401 response body"], &["invalid character"]],
        C::AuthMissing,
        Possible,
        &[C::AuthWrongCredentials],
    ),
];

/// Bodies that no registry sends: a page in place of JSON.
pub(super) const NONSENSE: &[Rule] = &[any(
    &[&[
        "invalid character '<'",
        "invalid character 'n'",
        "looking for beginning of value",
        "<!doctype html",
        "<html",
        "unexpected end of json input",
        "error parsing http",
    ]],
    C::RegistryError,
    Likely,
    &[C::ProxyError],
)];

/// Mirrors and caches that say themselves that they are one.
pub(super) const MIRRORS: &[Rule] = &[any(
    &[&[
        "mirror resolve",
        "\"handler\":\"mirror\"",
        "pull-through cache",
        "pull through cache",
        "proxy cache",
        "registry mirror",
        "~spegel",
    ]],
    C::MirrorFault,
    Likely,
    &[C::RegistryError],
)];
