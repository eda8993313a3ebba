//! "Did you mean …": the nearest of a set of known words.

use crate::keys::{self, Key, Kind, Section};
use crate::text::edit_distance;

/// The known word nearest to `word`, when it is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let folded = fold(word);
    known
        .into_iter()
        .map(|candidate| (edit_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(word.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `state_dir`, `state-dir` and `StateDir` are all meant as `stateDir`.
fn fold(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The key of `section` that an unknown one was meant as: nearly the same, a part of it, or more
/// than it.
pub(crate) fn meant(name: &str, section: &Section) -> Option<&'static Key> {
    let near = nearest(name, section.keys.iter().map(|key| key.name));
    let lower = name.to_ascii_lowercase();
    let part = |key: &&Key| {
        let known = key.name.to_ascii_lowercase();
        (name.len() >= 4 && (known.starts_with(&lower) || known.ends_with(&lower)))
            || (known.len() >= 4 && lower.starts_with(&known))
    };
    near.and_then(|near| section.key(near))
        .or_else(|| section.keys.iter().find(part))
}

/// The section in which a key of that name belongs.
pub(crate) fn belongs(name: &str, section: &Section) -> Option<String> {
    let places: Vec<String> = keys::SECTIONS
        .iter()
        .filter(|other| **other != section && other.key(name).is_some())
        .map(|other| place(other))
        .collect();
    (!places.is_empty()).then(|| format!("`{name}` belongs {}", places.join(", or ")))
}

fn place(section: &Section) -> String {
    match section.title {
        "" => "at the top of the file".to_owned(),
        title => format!("under {title}"),
    }
}

/// The names of all keys, for messages about keys of no section.
pub(crate) fn words(section: &Section) -> String {
    let names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
    names.join(", ")
}

/// What a kind of value is, for messages.
pub(crate) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Section(_) | Kind::Map(..) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Either(..) => "a text or a mapping",
        Kind::Text(_) | Kind::Choice(_) => "a text",
        Kind::Bool => "true or false",
        Kind::Integer { .. } => "a whole number",
    }
}

#[cfg(test)]
mod tests {
    use super::{belongs, meant, nearest};
    use crate::keys::ROOT;

    #[test]
    fn finds_slips_and_styles() {
        let known = ["schedule", "stateDir", "listen"];
        for (word, meant) in [
            ("schedul", Some("schedule")),
            ("shcedule", Some("schedule")),
            ("state_dir", Some("stateDir")),
            ("State-Dir", Some("stateDir")),
            ("lsiten", Some("listen")),
            ("interval", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn names_the_right_level() {
        let hint = belongs("schedule", &ROOT);
        assert_eq!(
            hint.as_deref(),
            Some("`schedule` belongs under credentials, or under mirror")
        );
        assert_eq!(belongs("frobnicate", &ROOT), None);
        assert_eq!(meant("registri", &ROOT).map(|key| key.name), Some("registry"));
        assert_eq!(meant("state", &ROOT).map(|key| key.name), Some("stateDir"));
    }
}
