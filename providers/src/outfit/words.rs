//! An issuer's own words, without what must not be told.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is repeated of a secret in fewer characters than this says nothing about it.
const TELLING: usize = 8;

/// More of an answer is never looked at.
const LOOKED_AT: usize = 4096;

/// How tokens and keys begin that an issuer may speak of without having been sent them.
const PREFIXES: [&str; 13] = [
    "eyJ",
    "ya29.",
    "ghs_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "ASIA",
    "AKIA",
    "AQo",
    "-----BEGIN",
    "MII",
];

/// `text` with every part of 8 characters or more struck that is also a part of one of the secrets
/// (as it is, percent-encoded or in base64), and every word that begins as tokens do.
#[must_use]
pub fn strike(text: &str, secrets: &[&str]) -> String {
    let text: String = text.chars().take(LOOKED_AT).collect();
    let mut struck = vec![false; text.len()];
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        for form in forms(secret) {
            mark(&text, &form, &mut struck);
        }
    }
    mark_tokens(&text, &mut struck);
    let mut out = String::with_capacity(text.len());
    let mut open = false;
    for (at, c) in text.char_indices() {
        let hide = struck.get(at).copied().unwrap_or(false);
        match (hide, open) {
            (true, false) => out.push_str("****"),
            (false, _) => out.push(c),
            (true, true) => {}
        }
        open = hide;
    }
    out
}

/// How a secret may come back.
fn forms(secret: &str) -> [String; 5] {
    let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [
        secret.to_owned(),
        encoded,
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        serde_json::Value::from(secret)
            .to_string()
            .trim_matches('"')
            .to_owned(),
    ]
}

fn mark(text: &str, secret: &str, struck: &mut [bool]) {
    let (text, secret) = (text.as_bytes(), secret.as_bytes());
    let width = TELLING.min(secret.len());
    let windows: std::collections::HashSet<&[u8]> = secret.windows(width).collect();
    for (at, window) in text.windows(width).enumerate() {
        if windows.contains(window) {
            struck
                .iter_mut()
                .skip(at)
                .take(width)
                .for_each(|hide| *hide = true);
        }
    }
}

fn mark_tokens(text: &str, struck: &mut [bool]) {
    let part = |c: char| c.is_ascii_alphanumeric() || "_-.+/=~%".contains(c);
    let mut at = 0;
    for word in text.split_inclusive(|c| !part(c)) {
        let token = PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= 16;
        if token {
            let length = word.trim_end_matches(|c| !part(c)).len();
            struck
                .iter_mut()
                .skip(at)
                .take(length)
                .for_each(|hide| *hide = true);
        }
        at += word.len();
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::strike;

    #[test]
    fn strikes_what_was_sent_in_every_form() {
        let secret = "hunter2+&secret/word";
        let packed = STANDARD.encode(secret);
        for (text, struck) in [
            ("bad hunter2+&secret/word!".to_owned(), "bad ****!"),
            ("bad hunter2%2B%26secret%2Fword!".to_owned(), "bad ****!"),
            ("half: hunter2+&".to_owned(), "half: ****"),
            ("the word is fine".to_owned(), "the word is fine"),
            (format!("b64 {}!", packed.trim_end_matches('=')), "b64 ****!"),
            ("é hunter2+&secret/word é".to_owned(), "é **** é"),
        ] {
            assert_eq!(strike(&text, &[secret, ""]), struck, "{text}");
        }
        assert_eq!(strike("pin 1234 of 12345", &["1234"]), "pin **** of ****5");
    }

    #[test]
    fn strikes_what_looks_like_a_token() {
        assert_eq!(
            strike(
                "token eyJhbGciOiJSUzI1NiJ9.e30.c2ln is old, ya29.a0AfH6SMBx-y_z too",
                &[]
            ),
            "token **** is old, **** too"
        );
        assert_eq!(strike("eyJ and ASIA are short", &[]), "eyJ and ASIA are short");
    }

    #[test]
    fn looks_at_a_bounded_part_only() {
        assert_eq!(
            strike(&"é".repeat(10_000), &["secret-secret"]).chars().count(),
            4096
        );
    }
}
