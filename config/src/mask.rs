//! What of a configuration file may be shown. When in doubt, it is `****`.

/// Stands for everything that could be a secret.
pub(crate) const MASK: &str = "****";

/// A key as it may be shown: a word of letters with at most two digits. Anything else in the
/// place of a key may be a value that slipped there.
pub(crate) fn key(text: &str) -> &str {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let word = (1..=32).contains(&text.len())
        && digits <= 2
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if word { text } else { MASK }
}

/// Whether the name of an unknown key says that its value is a secret.
pub(crate) fn names_a_secret(key: &str) -> bool {
    let key: String = key
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    [
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "credential",
        "apikey",
        "privatekey",
        "authorization",
    ]
    .iter()
    .any(|word| key.contains(word))
        || matches!(key.as_str(), "pass" | "pwd" | "auth" | "key" | "bearer" | "pat")
}

/// Beginnings by which well-known services mark their secrets.
const PREFIXES: [&str; 18] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "dckr_pat_",
    "dckr_oat_",
    "AKIA",
    "ASIA",
    "eyJ",
    "xox",
    "npm_",
    "hvs.",
    "ya29.",
    "-----BEGIN",
];

/// Whether a value of a key that is normally shown looks like a secret after all:
/// a user or password in front of an `@`, a known token form, or a long random word.
pub(crate) fn looks_secret(text: &str) -> bool {
    has_userinfo(text)
        || PREFIXES.iter().any(|prefix| text.contains(prefix))
        || text
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '=')))
            .any(is_random)
}

/// An `@` that is not the one of an image digest.
fn has_userinfo(text: &str) -> bool {
    let Some((before, after)) = text.rsplit_once('@') else {
        return false;
    };
    let digest = after.starts_with("sha256:") || after.starts_with("sha512:");
    // `repo/name@1.0` is a mistyped reference; `user:pass@host` has no path in front.
    let reference = before.contains('/') && before.parse::<crate::Reference>().is_ok();
    before.contains('@') || !(digest || reference || text.starts_with('@'))
}

/// Long, and of upper case, lower case and digits alike.
fn is_random(word: &str) -> bool {
    word.len() >= 24
        && word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase())
        && word.bytes().any(|b| b.is_ascii_digit())
}
