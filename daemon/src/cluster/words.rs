//! The API's own words, without the secret that was sent to it.

use std::collections::HashMap;

use syncd_config::text::clean;

/// Runs of this many bytes that a text shares with a secret are taken out of it. Shorter ones say
/// nothing, and common words have them.
const RUN: usize = 8;

/// Only so much of a remote text is looked at.
const READ: usize = 4096;

/// A remote text as it may be shown: in one line, escaped, cut, and without any part of `private`.
pub(super) fn shown(text: &str, private: &[&str]) -> String {
    let mut end = text.len().min(READ);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    clean(&masked(&text[..end], private))
}

/// `text` with every run of [`RUN`] bytes or more that it shares with one of `private` as `****`.
fn masked(text: &str, private: &[&str]) -> String {
    let bytes = text.as_bytes();
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, run) in bytes.windows(RUN).enumerate() {
        places.entry(run).or_default().push(at);
    }
    let mut hidden = vec![false; bytes.len()];
    for run in private.iter().flat_map(|secret| secret.as_bytes().windows(RUN)) {
        for at in places.get(run).into_iter().flatten() {
            hidden[*at..at + RUN].fill(true);
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for (at, c) in text.char_indices() {
        if !hidden[at] {
            out.push(c);
        } else if !inside {
            out.push_str("****");
        }
        inside = hidden[at];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_secret_is_masked_in_part_and_whole() {
        let secret = r#"{"auths":{"registry.test":{"auth":"dXNlcjpodW50ZXIy"}}}"#;
        for (text, expected) in [
            ("denied by policy", "denied by policy"),
            (&format!("bad: \"{secret}\""), "bad: \"****\""),
            (
                "illegal base64 ...|XNlcjpodW50|... at 7",
                "illegal base64 ...|****|... at 7",
            ),
            ("dXNlcjp is too short to tell", "dXNlcjp is too short to tell"),
            ("dXNlcjpo, aHVudGVyMg==", "****, aHVudGVyMg=="),
        ] {
            assert_eq!(shown(text, &[secret]), expected);
        }
        assert_eq!(shown("é é\u{1b}[2J é", &["é é"]), "é é\\u{1b}[2J é");
        assert_eq!(shown("ääää und öööö", &["ääää", "öööö"]), "**** und ****");
        assert_eq!(shown(&"€".repeat(5000), &[]).chars().count(), 257);
    }
}
