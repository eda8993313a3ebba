//! Whether a credential in a pull secret is still within its time, as far as it can be told
//! without asking anybody: by syncd's own annotation, by the token itself (a JWT's `exp`, the
//! `expiration` in an ECR password), or by the secret's age against the life that such tokens are
//! known to have. Pure; nothing of a password leaves here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use syncd_config::{RegistryHost, Secret};

/// The annotation in which syncd states what a secret of its own holds.
const REGISTRIES: &str = "syncd.dev/registries";
/// The annotation that marks a secret as one of syncd's.
const OWNER: &str = "syncd.dev/owner";
/// The longest password that is looked into.
const LONGEST: usize = 16 * 1024;

/// The part of a secret's metadata that tells its age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) annotations: BTreeMap<String, String>,
    /// When its content was written last.
    pub(super) at: Option<Timestamp>,
}

impl Written {
    /// Whether syncd keeps the secret.
    pub(super) fn by_syncd(&self) -> bool {
        self.annotations.contains_key(OWNER)
    }
}

/// What is known of a credential's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Nothing: a password without an end, or a token that does not tell.
    Unknown,
    /// It says that it is good until then.
    Until(Timestamp),
    /// It was good until then.
    Expired(Timestamp),
    /// It was written so long ago that a token of its kind is past its time.
    Old {
        written: Timestamp,
        /// How long such tokens live, in hours.
        lives: i64,
        kind: &'static str,
    },
}

impl Freshness {
    /// Whether its time is over, as far as is known.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::Old { .. })
    }

    /// For people.
    pub(super) fn told(&self, now: Timestamp) -> String {
        match self {
            Self::Unknown => "it does not say until when it is good".to_owned(),
            Self::Until(end) => format!(
                "good until {end:.0}, for another {}",
                span(end.duration_since(now))
            ),
            Self::Expired(end) => format!("it ended at {end:.0}, {} ago", span(now.duration_since(*end))),
            Self::Old { written, lives, kind } => format!(
                "{kind} lives {lives} h, and the secret was written {} ago",
                span(now.duration_since(*written))
            ),
        }
    }
}

/// `3 d`, `14 h`, `5 min`.
pub(super) fn span(duration: SignedDuration) -> String {
    let minutes = duration.as_secs().max(0) / 60;
    match minutes {
        0 => "less than a minute".to_owned(),
        1..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

/// What is known of a credential for `host`.
pub(super) fn freshness(
    host: &RegistryHost,
    username: &str,
    password: &Secret,
    written: &Written,
    now: Timestamp,
) -> Freshness {
    let end = end_of(username, password.expose()).or_else(|| stated(host, written));
    if let Some(end) = end {
        return if end <= now {
            Freshness::Expired(end)
        } else {
            Freshness::Until(end)
        };
    }
    let Some((kind, lives)) = kind_of(username, password.expose()) else {
        return Freshness::Unknown;
    };
    match written.at {
        Some(at) if now.duration_since(at) > SignedDuration::from_hours(lives) => Freshness::Old {
            written: at,
            lives,
            kind,
        },
        _ => Freshness::Unknown,
    }
}

/// What syncd's annotation says for the host.
fn stated(host: &RegistryHost, written: &Written) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Registry {
        expires: Option<String>,
    }
    let text = written.annotations.get(REGISTRIES)?;
    let all: BTreeMap<String, Registry> = serde_json::from_str(text).ok()?;
    let of_host = all.get(host.as_str())?;
    sane(of_host.expires.as_ref()?.parse().ok()?)
}

/// Ends outside of these years are how some programs write "unknown" (year 1, 1970, 9999).
fn sane(end: Timestamp) -> Option<Timestamp> {
    const YEAR_2000: i64 = 946_684_800;
    const YEAR_2200: i64 = 7_258_118_400;
    (YEAR_2000..YEAR_2200).contains(&end.as_second()).then_some(end)
}

/// The end that a token states itself.
fn end_of(username: &str, password: &str) -> Option<Timestamp> {
    if password.len() > LONGEST {
        return None;
    }
    let seconds = jwt_end(password).or_else(|| (username == "AWS").then(|| ecr_end(password)).flatten())?;
    sane(Timestamp::from_second(seconds).ok()?)
}

/// RFC 7519, 4.1.4: `exp`, seconds since 1970, possibly with a fraction.
fn jwt_end(password: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = password.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&header).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    seconds(serde_json::from_slice::<Claims>(&claims).ok()?.exp)
}

/// The password of an ECR token is a base64 document of its own that names its end.
fn ecr_end(password: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Document {
        expiration: f64,
    }
    let bytes = STANDARD
        .decode(password)
        .or_else(|_| STANDARD_NO_PAD.decode(password))
        .ok()?;
    seconds(serde_json::from_slice::<Document>(&bytes).ok()?.expiration)
}

fn seconds(number: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "within the range just checked")]
    (number.is_finite() && number.abs() < 1e12).then_some(number as i64)
}

/// Tokens whose life is known, in hours: ECR 12, Google's access tokens 1, ACR's refresh tokens 3,
/// GitHub's installation tokens 1.
fn kind_of(username: &str, password: &str) -> Option<(&'static str, i64)> {
    match username {
        "AWS" => Some(("an ECR token", 12)),
        "oauth2accesstoken" => Some(("a Google access token", 1)),
        "00000000-0000-0000-0000-000000000000" => Some(("an ACR token", 3)),
        _ if password.starts_with("ghs_") => Some(("a GitHub installation token", 1)),
        _ => None,
    }
}

/// Whether a token of this kind comes to an end by itself, whenever that is.
pub(super) fn is_short_lived(username: &str, password: &Secret) -> bool {
    kind_of(username, password.expose()).is_some() || jwt_end(password.expose()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-08-20T12:00:00Z";

    fn jwt(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            part(r#"{"alg":"RS256"}"#),
            part(claims),
            part("signature")
        )
    }

    fn of(username: &str, password: &str, annotation: Option<&str>, written: Option<&str>) -> Freshness {
        let mut meta = Written {
            at: written.map(|at| at.parse().unwrap()),
            ..Written::default()
        };
        if let Some(text) = annotation {
            meta.annotations.insert(REGISTRIES.to_owned(), text.to_owned());
        }
        let host = "reg.example:5000".parse().unwrap();
        freshness(
            &host,
            username,
            &Secret::new(password),
            &meta,
            NOW.parse().unwrap(),
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_tells_its_own_end() {
        let past = at("2026-08-20T11:59:59Z").as_second();
        let future = at("2026-08-20T12:00:01Z").as_second();
        let ecr =
            |end: i64| STANDARD.encode(format!(r#"{{"payload":"x","version":"2","expiration":{end}}}"#));
        for (username, password, expected) in [
            (
                "u",
                jwt(&format!(r#"{{"exp":{past}}}"#)),
                Freshness::Expired(at("2026-08-20T11:59:59Z")),
            ),
            (
                "u",
                jwt(&format!(r#"{{"exp":{past}.75,"sub":"x"}}"#)),
                Freshness::Expired(at("2026-08-20T11:59:59Z")),
            ),
            (
                "u",
                jwt(&format!(r#"{{"exp":{future}}}"#)),
                Freshness::Until(at("2026-08-20T12:00:01Z")),
            ),
            ("AWS", ecr(past), Freshness::Expired(at("2026-08-20T11:59:59Z"))),
            ("AWS", ecr(future), Freshness::Until(at("2026-08-20T12:00:01Z"))),
            // Only an ECR user's password is read as such a document.
            ("u", ecr(past), Freshness::Unknown),
            ("u", jwt(r#"{"sub":"x"}"#), Freshness::Unknown),
            ("u", jwt(r#"{"exp":"1"}"#), Freshness::Unknown),
            ("u", jwt(r#"{"exp":0}"#), Freshness::Unknown),
            ("u", jwt(r#"{"exp":-62135596800}"#), Freshness::Unknown),
            ("u", jwt(r#"{"exp":1e300}"#), Freshness::Unknown),
            (
                "u",
                format!("{}.x", jwt(&format!(r#"{{"exp":{past}}}"#))),
                Freshness::Unknown,
            ),
            ("u", format!("a.{}.c", jwt(r#"{"exp":1}"#)), Freshness::Unknown),
            ("u", "hunter2".to_owned(), Freshness::Unknown),
            ("u", String::new(), Freshness::Unknown),
            ("u", "..".to_owned(), Freshness::Unknown),
            ("u", "x".repeat(LONGEST + 1), Freshness::Unknown),
        ] {
            assert_eq!(of(username, &password, None, None), expected, "{password}");
        }
    }

    #[test]
    fn the_annotation_counts_for_its_host_only() {
        let for_host = |host: &str, end: &str| format!(r#"{{"{host}":{{"expires":"{end}","proven":null}}}}"#);
        for (annotation, expected) in [
            (
                for_host("reg.example:5000", "2026-08-20T11:00:00Z"),
                Freshness::Expired(at("2026-08-20T11:00:00Z")),
            ),
            (
                for_host("reg.example:5000", "2026-08-20T13:00:00Z"),
                Freshness::Until(at("2026-08-20T13:00:00Z")),
            ),
            (
                for_host("reg.example", "2026-08-20T11:00:00Z"),
                Freshness::Unknown,
            ),
            (
                for_host("reg.example:5000", "0001-01-01T00:00:00Z"),
                Freshness::Unknown,
            ),
            (for_host("reg.example:5000", "soon"), Freshness::Unknown),
            (r#"{"reg.example:5000":{}}"#.to_owned(), Freshness::Unknown),
            ("[".to_owned(), Freshness::Unknown),
        ] {
            assert_eq!(of("u", "p", Some(&annotation), None), expected, "{annotation}");
        }
    }

    #[test]
    fn tokens_of_known_kinds_grow_old() {
        for (username, password, written, over) in [
            ("AWS", "opaque", "2026-08-19T23:59:00Z", true),
            ("AWS", "opaque", "2026-08-20T00:01:00Z", false),
            ("oauth2accesstoken", "ya29.x", "2026-08-20T10:59:00Z", true),
            ("oauth2accesstoken", "ya29.x", "2026-08-20T11:01:00Z", false),
            (
                "00000000-0000-0000-0000-000000000000",
                "x",
                "2026-08-20T08:00:00Z",
                true,
            ),
            ("x-access-token", "ghs_x", "2026-08-20T08:00:00Z", true),
            ("x-access-token", "ghp_x", "2020-08-20T08:00:00Z", false),
            ("bot", "hunter2", "2020-08-20T08:00:00Z", false),
        ] {
            let found = of(username, password, None, Some(written));
            assert_eq!(found.is_over(), over, "{username} {password} {written}");
        }
        assert_eq!(of("AWS", "opaque", None, None), Freshness::Unknown);
    }

    #[test]
    fn what_is_told_names_times_and_no_password() {
        let now = at(NOW);
        for (freshness, words) in [
            (
                Freshness::Expired(at("2026-08-20T09:30:00.5Z")),
                "it ended at 2026-08-20T09:30:00Z, 2 h ago",
            ),
            (
                Freshness::Until(at("2026-08-20T12:45:00Z")),
                "good until 2026-08-20T12:45:00Z, for another 45 min",
            ),
            (
                Freshness::Old {
                    written: at("2026-08-10T12:00:00Z"),
                    lives: 12,
                    kind: "an ECR token",
                },
                "an ECR token lives 12 h, and the secret was written 10 d ago",
            ),
        ] {
            assert_eq!(freshness.told(now), words);
        }
    }
}
