//! What to do about a key that is missing, empty, of the wrong shape or not known.

use crate::keys::{Key, Kind, Need, Section};
use crate::tree::{Node, Value};

/// How to write a key that is missing.
pub(super) fn required(key: &Key) -> String {
    match key.kind {
        Kind::Choice([only]) => format!("add `{}: {only}`", key.name),
        Kind::List(Kind::Text(text) | Kind::Either(text, _)) => {
            format!("such as `{}: [{}]`", key.name, text.example())
        }
        Kind::Section(section) => match first(section) {
            Some(inner) => format!("such as `{}: {{{inner}}}`", key.name),
            None => format!("such as `{}: {{}}`", key.name),
        },
        Kind::List(Kind::Section(section)) => match first(section) {
            Some(inner) => format!("a list; each item begins with `- {inner}`"),
            None => format!("such as `{}: []`", key.name),
        },
        _ => format!("such as `{}: {}`", key.name, key.example()),
    }
}

/// The first key that a mapping needs, or else its first one, with a value.
fn first(section: &Section) -> Option<String> {
    let needed = section.keys.iter().find(|key| key.need == Need::Required);
    let one_of = section.one_of.last().and_then(|name| section.key(name));
    let key = one_of.or(needed).or_else(|| section.keys.first())?;
    Some(match key.kind {
        Kind::Section(inner) => format!("{}: {{{}}}", key.name, first(inner)?),
        Kind::List(Kind::Text(text) | Kind::Either(text, _)) => format!("{}: [{}]", key.name, text.example()),
        _ => format!("{}: {}", key.name, key.example()),
    })
}

/// How to write one of the keys that exclude one another.
pub(super) fn one_of(section: &Section) -> Option<String> {
    first(section).map(|inner| format!("such as `{inner}`"))
}

/// What to do about a key without a value.
pub(super) fn empty(key: &Key) -> String {
    match key.kind {
        Kind::Section(section) => match section.keys.iter().find(|key| key.need == Need::Required) {
            Some(needed) => format!("leave it out, or give it `{}`", needed.name),
            None => "leave it out, or write {} for all defaults".to_owned(),
        },
        Kind::List(_) => "leave it out, or write []".to_owned(),
        Kind::Map(name, value) => format!(
            "such as `{}: {{{}: {}}}`",
            key.name,
            name.example(),
            value.example()
        ),
        _ => format!("such as `{}: {}`", key.name, key.example()),
    }
}

/// What to do about another shape than the wanted one.
pub(super) fn shape(node: &Node, wanted: Kind) -> Option<String> {
    match (wanted, &node.value) {
        (Kind::List(_), Value::Map(_)) => Some("begin each item with `- `".to_owned()),
        (Kind::List(_), Value::Scalar { .. }) => {
            Some("write it in brackets, or on a line of its own after `- `".to_owned())
        }
        (Kind::Section(section), Value::Scalar { .. }) => {
            let first = section.keys.iter().find(|key| key.need == Need::Required)?;
            Some(format!("such as `{}: {}`", first.name, first.example()))
        }
        _ => None,
    }
}

/// Where a secret goes that stands at a key nobody knows.
pub(super) fn secret(section: &Section) -> String {
    let file = match section.secret_file() {
        Some(key) => format!("`{}`", key.name),
        None if section.key("basic").is_some() => "`basic.passwordFile`".to_owned(),
        None => return "secrets are never inline".to_owned(),
    };
    format!("secrets are never inline: put it in a file, and name the file in {file}")
}
