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
        _ => format!("such as `{}: {}`", key.name, key.example()),
    }
}

/// What to do about a key without a value.
pub(super) fn empty(key: &Key) -> String {
    match key.kind {
        Kind::Section(section) => match section.keys.iter().find(|key| key.need == Need::Required) {
            Some(needed) => format!("leave it out, or give it `{}`", needed.name),
            None => "leave it out, or write {} for all defaults".to_owned(),
        },
        Kind::List(_) => "leave it out, or write []".to_owned(),
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
