//! The names that Kubernetes takes
//! (`staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go` of Kubernetes).

const QUALIFIED: &str = "at most 63 characters: A-Z a-z 0-9 - _ and ., a letter or digit at both ends";

/// An RFC 1123 label: the name of a namespace. `Err` says what it would have to be.
pub(crate) fn label(text: &str) -> Result<(), &'static str> {
    let good = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    good.then_some(())
        .ok_or("at most 63 characters: a-z 0-9 and -, a letter or digit at both ends")
}

/// An RFC 1123 subdomain: the name of a secret.
pub(crate) fn subdomain(text: &str) -> Result<(), &'static str> {
    // Unlike a label alone, a part of a subdomain may have any length.
    let part = |part: &str| {
        let ends = part.starts_with('-') || part.ends_with('-');
        !part.is_empty()
            && !ends
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    (text.len() <= 253 && text.split('.').all(part))
        .then_some(())
        .ok_or("at most 253 characters: a-z 0-9 - and ., a letter or digit at both ends of each part")
}

/// The key of a label: a name, with a DNS name and a slash in front at most.
pub(crate) fn label_key(text: &str) -> Result<(), &'static str> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_some_and(|prefix| subdomain(prefix).is_err()) {
        return Err("in front of its one slash stands a DNS name, such as team.example.com/name");
    }
    if name.is_empty() || !qualified(name) {
        return Err(QUALIFIED);
    }
    Ok(())
}

/// The value of a label; it may be empty.
pub(crate) fn label_value(text: &str) -> Result<(), &'static str> {
    qualified(text).then_some(()).ok_or(QUALIFIED)
}

fn qualified(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with(['-', '_', '.'])
        && !text.ends_with(['-', '_', '.'])
}

#[cfg(test)]
mod tests {
    use super::{label, label_key, label_value, subdomain};

    #[test]
    fn takes_what_the_apiserver_takes() {
        let long = |n| "a".repeat(n);
        for (text, is_label, is_subdomain) in [
            ("a", true, true),
            ("team-a", true, true),
            ("0", true, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("a.b", false, true),
            ("a..b", false, false),
            (".a", false, false),
            ("a.", false, false),
            ("a.-b", false, false),
            ("é", false, false),
            (&long(63), true, true),
            (&long(64), false, true),
            (&long(253), false, true),
            (&long(254), false, false),
        ] {
            assert_eq!(label(text).is_ok(), is_label, "{text}");
            assert_eq!(subdomain(text).is_ok(), is_subdomain, "{text}");
        }
    }

    #[test]
    fn takes_labels_as_the_apiserver_does() {
        let long = "A".repeat(63);
        let far = format!("{}/name", "a".repeat(253));
        for key in ["team", "Team_1.x", "app.kubernetes.io/name", "0/0", &long, &far] {
            assert_eq!(label_key(key), Ok(()), "{key}");
        }
        let (longer, farther) = (format!("{long}a"), format!("a{far}"));
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "A.example/name",
            "-a",
            "a-",
            "_a",
            "a.",
            "a b",
            "a:b",
            &longer,
            &farther,
        ] {
            assert!(label_key(key).is_err(), "{key}");
        }
        for value in ["", "a", "Team_1.x", "true", "1", &long] {
            assert_eq!(label_value(value), Ok(()), "{value}");
        }
        for value in ["-", "a/b", "a b", ".a", "a_", "é", &longer] {
            assert!(label_value(value).is_err(), "{value}");
        }
    }
}
