//! Every secret of a test is unique, and is looked for in everything that any
//! program wrote.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::error::{Error, Result};

/// A secret that no other test has.
pub fn unique(prefix: &str) -> String {
    let mut random = String::new();
    for _ in 0..6 {
        random.push_str(&format!("{:04x}", fastrand::u16(..)));
    }
    format!("{prefix}-{random}")
}

/// Fails when `text` holds one of the secrets: plain, as base64, alone or as the
/// end of `user:secret` (whatever the length of the user), or in hex.
pub fn assert_none(what: &str, text: &str, secrets: &[&str]) -> Result<()> {
    for (number, secret) in secrets.iter().enumerate() {
        if let Some(form) = forms(secret).into_iter().find(|form| text.contains(&form.1)) {
            return Err(Error::Other {
                operation: format!("keep secret {number} out of {what}"),
                source: format!("it is there as {}", form.0).into(),
            });
        }
    }
    Ok(())
}

/// The secret as it stands in a text, in hex, as a list of bytes, and the inner
/// part of its base64 at each of the three alignments.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let hex = |format: fn(u8) -> String| secret.bytes().map(format).collect::<String>();
    let mut forms = vec![
        ("plain text", secret.to_owned()),
        ("hex", hex(|byte| format!("{byte:02x}"))),
        ("hex", hex(|byte| format!("{byte:02X}"))),
        ("percent form", hex(|byte| format!("%{byte:02X}"))),
        (
            "bytes of Debug",
            hex(|byte| format!("{byte}, ")).trim_end_matches(", ").to_owned(),
        ),
    ];
    for skip in 0..3 {
        // The first and the last group depend on the neighbours.
        let aligned = &secret.as_bytes()[skip..];
        let inner = &aligned[..aligned.len() - aligned.len() % 3];
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.push(("base64", engine.encode(inner)));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = unique("pw");
        for user in ["", "a", "ab", "abc"] {
            let encoded = STANDARD.encode(format!("{user}:{secret}"));
            let header = format!("authorization: Basic {encoded}");
            assert!(assert_none("a header", &header, &[&secret]).is_err(), "{user}");
        }
        assert!(assert_none("a log", &format!("password={secret}"), &[&secret]).is_err());
        let debug = format!("{:?}", secret.as_bytes());
        assert!(assert_none("a log", &debug, &[&secret]).is_err());
        assert!(assert_none("a log", "password=****", &[&secret]).is_ok());
    }
}
