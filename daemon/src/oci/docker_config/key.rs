//! The keys of `auths`: what kubelet makes of one.
//!
//! kubelet hands every key to Go's `net/url` and keeps host and path (`BasicDockerKeyring.Add`, Kubernetes
//! 1.36). What that parser refuses never matches anything; its rules are followed here for `http` and
//! `https`, the only schemes it is given.

use std::net::Ipv6Addr;

use syncd_config::RegistryHost;
use syncd_config::text::clean;
use thiserror::Error;

/// The key of Docker Hub under which kubelet looks when no other key matches.
pub const HUB_FALLBACK: &str = "index.docker.io";

/// A key as kubelet indexes it: scheme, user, query and a leading `/v1` or `/v2` are gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexKey {
    /// `host[:port]`, case kept, `*` and all.
    pub host: String,
    /// Empty, or `/…`.
    pub path: String,
}

/// Why a key is no URL; kubelet logs that on the node and passes over the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// A control character, such as a line break.
    #[error("it has a control character (a line break?)")]
    Control,
    /// A character that no host has.
    #[error("it has a character that no host has (white space, a quote, a backslash?)")]
    Character,
    /// `%` without two hex digits, or an ASCII character escaped in the host.
    #[error("it has a `%` that is no valid escape")]
    Escape,
    /// What stands after the colon is no number.
    #[error("what follows the colon of its host is not a port number (there are no patterns for ports)")]
    Port,
    /// Square brackets that hold no IPv6 address.
    #[error("it has square brackets around something that is not an IPv6 address")]
    Brackets,
    /// What stands before the `@` is no user.
    #[error("what stands before its `@` is not a user")]
    User,
}

impl IndexKey {
    /// Host and path in one, which is what kubelet sorts by.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.host, self.path)
    }
}

/// What kubelet makes of a key.
///
/// # Errors
/// It is no URL for Go.
pub fn index(key: &str) -> Result<IndexKey, KeyFault> {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let mut parsed = parse(rest)?;
    if parsed.path.starts_with("/v1/") || parsed.path.starts_with("/v2/") {
        parsed.path.drain(..3);
    }
    if parsed.path == "/" {
        parsed.path.clear();
    }
    Ok(parsed)
}

/// Host and path of `https://REST` (Go's `url.Parse`).
///
/// # Errors
/// It is no URL for Go.
pub fn parse(rest: &str) -> Result<IndexKey, KeyFault> {
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    if rest.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err(KeyFault::Control);
    }
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        None => authority,
        Some((user, host)) => {
            check_user(user)?;
            host
        }
    };
    let host = parse_host(host)?;
    let path = unescape(path)?;
    unescape(fragment)?;
    Ok(IndexKey { host, path })
}

fn check_user(user: &str) -> Result<(), KeyFault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(allowed) {
        return Err(KeyFault::User);
    }
    unescape(user).map(drop)
}

fn parse_host(host: &str) -> Result<String, KeyFault> {
    match host.rfind('[') {
        Some(0) => {
            let close = host.rfind(']').ok_or(KeyFault::Brackets)?;
            // Zones are left out: no image names one.
            let inner = host.get(1..close).ok_or(KeyFault::Brackets)?;
            inner.parse::<Ipv6Addr>().map_err(|_| KeyFault::Brackets)?;
            check_port(&host[close + 1..])?;
            Ok(host.to_owned())
        }
        Some(_) => Err(KeyFault::Brackets),
        None => {
            check_port(host.find(':').map_or("", |colon| &host[colon..]))?;
            unescape_host(host)
        }
    }
}

fn check_port(text: &str) -> Result<(), KeyFault> {
    match text.strip_prefix(':').unwrap_or(text) {
        "" => Ok(()),
        port if text.starts_with(':') && port.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        _ => Err(KeyFault::Port),
    }
}

fn unescape_host(host: &str) -> Result<String, KeyFault> {
    let allowed = |b: u8| b >= 0x80 || b.is_ascii_alphanumeric() || b"!\"$%&'()*+,-.:;<=>[]_~".contains(&b);
    if !host.bytes().all(allowed) {
        return Err(KeyFault::Character);
    }
    // Only bytes beyond ASCII may be escaped in a host, and the `%` itself.
    for (at, _) in host.match_indices('%') {
        let escape = host.get(at..at + 3).ok_or(KeyFault::Escape)?;
        if escape.as_bytes()[1] < b'8' && escape != "%25" {
            return Err(KeyFault::Escape);
        }
    }
    unescape(host)
}

/// Takes percent escapes out. Bytes that are no UTF-8 become U+FFFD: no image has either.
fn unescape(text: &str) -> Result<String, KeyFault> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2).ok_or(KeyFault::Escape)?;
        let hex = |b: u8| char::from(b).to_digit(16).ok_or(KeyFault::Escape);
        let byte = hex(digits[0])? * 16 + hex(digits[1])?;
        bytes.extend(u8::try_from(byte));
        rest = after;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a key stands for the whole of this registry, in any of the spellings that clients write.
#[must_use]
pub fn names_host(key: &str, host: &RegistryHost) -> bool {
    let Ok(IndexKey { host: named, path }) = index(key) else {
        return false;
    };
    let is_whole = matches!(path.as_str(), "" | "/v1" | "/v2");
    is_whole && named.parse::<RegistryHost>().is_ok_and(|named| named == *host)
}

/// A key as it may be shown: without a user, cleaned and cut; a text that names no host is not shown
/// at all, because it may be a password that went to the wrong place.
#[must_use]
pub fn shown(key: &str) -> String {
    let (scheme, rest) = match key.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => (scheme, rest),
        _ => ("", key),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => ("****@", host),
        None => ("", authority),
    };
    // The longest label of a name; what is longer is no host, but may be a token with dots in it.
    let is_host = matches!(host, "localhost" | "auths") || host.contains(['.', ':', '*']);
    if !is_host || host.split('.').any(|label| label.len() > 63) {
        return format!("(a key of {} characters that names no host)", key.chars().count());
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    let shown = format!("{scheme}{separator}{user}{host}{path}");
    // White space at an end is a fault of its own, so it has to be seen.
    let (start, end) = (shown.len() - shown.trim_start().len(), shown.trim_end().len());
    let escaped = |text: &str| text.escape_unicode().to_string();
    let inner = clean(shown.get(start..end).unwrap_or_default());
    format!("{}{inner}{}", escaped(&shown[..start]), escaped(&shown[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_like_kubelet() {
        for (key, want) in [
            ("reg.example", "reg.example"),
            ("https://reg.example", "reg.example"),
            ("http://reg.example/", "reg.example"),
            ("https://reg.example:5000/v2/", "reg.example:5000"),
            ("https://reg.example/v2", "reg.example/v2"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("https://index.docker.io/v1", "index.docker.io/v1"),
            ("reg.example/v1/team", "reg.example/team"),
            ("reg.example/v2/v1/team", "reg.example/v1/team"),
            ("reg.example/v3/team", "reg.example/v3/team"),
            ("HTTPS://reg.example", "HTTPS://reg.example"),
            ("docker://reg.example", "docker://reg.example"),
            ("bot:pw@reg.example/a", "reg.example/a"),
            ("reg.example/a?b#c", "reg.example/a"),
            ("reg.example?b", "reg.example"),
            ("*.example:5000", "*.example:5000"),
            ("reg.example/a%20b", "reg.example/a b"),
            ("r%C3%A9g.example", "rég.example"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("reg.example:", "reg.example:"),
            ("", ""),
        ] {
            assert_eq!(index(key).map(|k| k.text()), Ok(want.to_owned()), "{key}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (key, want) in [
            ("reg.example\n", KeyFault::Control),
            (" reg.example", KeyFault::Character),
            ("reg.example ", KeyFault::Character),
            ("reg\\.example", KeyFault::Character),
            ("reg.example:*", KeyFault::Port),
            ("reg.example:5000:1", KeyFault::Port),
            ("reg.example:https", KeyFault::Port),
            ("[a-z].example", KeyFault::Brackets),
            ("reg[0-9].example", KeyFault::Brackets),
            ("[::1", KeyFault::Brackets),
            ("[::1]x", KeyFault::Port),
            ("reg%2eexample", KeyFault::Escape),
            ("reg.example/%", KeyFault::Escape),
            ("reg.example/%zz", KeyFault::Escape),
            ("reg.example#%", KeyFault::Escape),
            ("a b@reg.example", KeyFault::User),
        ] {
            assert_eq!(index(key), Err(want), "{key:?}");
        }
    }

    #[test]
    fn shows_no_user_and_nothing_that_is_no_host() {
        for (key, want) in [
            ("reg.example:5000/a", "reg.example:5000/a"),
            ("https://index.docker.io/v1/", "https://index.docker.io/v1/"),
            ("https://bot:hunter2@reg.example/a", "https://****@reg.example/a"),
            ("reg.example/a?token=hunter2", "reg.example/a"),
            ("hunter2", "(a key of 7 characters that names no host)"),
            ("localhost", "localhost"),
            ("reg.example \n", "reg.example\\u{20}\\u{a}"),
            (
                concat!(
                    "eyJhbGciOiJub25lIn0.",
                    "eyJzdWIiOiIxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwIn0.c2ln"
                ),
                "(a key of 92 characters that names no host)",
            ),
            ("reg.example\u{1b}[31m", "reg.example\\u{1b}[31m"),
        ] {
            assert_eq!(shown(key), want);
        }
    }

    #[test]
    fn knows_the_spellings_of_a_host() {
        let names = |key: &str, host: &str| names_host(key, &host.parse().unwrap());
        for key in [
            "reg.example:5000",
            "https://reg.example:5000",
            "http://reg.example:5000/v2/",
            "REG.example:5000",
        ] {
            assert!(names(key, "reg.example:5000"), "{key}");
        }
        for key in [
            "reg.example",
            "reg.example:5000/team",
            "xreg.example:5000",
            "*.example:5000",
        ] {
            assert!(!names(key, "reg.example:5000"), "{key}");
        }
        for key in [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "https://index.docker.io/v1",
        ] {
            assert!(names(key, "docker.io"), "{key}");
        }
    }
}
