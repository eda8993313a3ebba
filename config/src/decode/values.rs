//! The typed values of a mapping.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::keys::Kind;
use crate::mask;
use crate::suggest;
use crate::tree::{Node, Value};

use super::fields::{Fields, Read, Walk, join, last};

/// A free key and its value, if that is a text.
pub(crate) type Pair<'n> = (Read<&'n str>, Option<Read<&'n str>>);

impl<'n> Fields<'n> {
    /// The node of a key of the table, if it is there.
    pub(crate) fn take(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Read<&'n Node>> {
        #[cfg(test)]
        walk.asked.insert((self.section.title, name));
        let (key, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        walk.allow(node, key.kind);
        Some(Read {
            value: *node,
            span: node.span,
            path: join(&self.path, name),
        })
    }

    /// The mapping of a key.
    pub(crate) fn section(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Fields<'n>> {
        let node = self.take(walk, name)?;
        let Some(Kind::Section(section)) = self.section.key(name).map(|key| key.kind) else {
            return None;
        };
        walk.open(section, node.value, &node.path, node.span)
    }

    /// The items of a list, each with its own way.
    pub(crate) fn list(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Vec<Read<&'n Node>>> {
        let node = self.take(walk, name)?;
        let Some(Kind::List(kind)) = self.section.key(name).map(|key| key.kind) else {
            return None;
        };
        let Value::List(items) = &node.value.value else {
            return None;
        };
        let mut read = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let path = format!("{}[{i}]", node.path);
            let text = matches!(item.value, Value::Scalar { .. });
            let right = match kind {
                Kind::Section(_) => matches!(item.value, Value::Map(_)),
                Kind::Either(..) => text || matches!(item.value, Value::Map(_)),
                _ => text,
            };
            walk.allow(item, *kind);
            if right {
                read.push(Read {
                    value: item,
                    span: item.span,
                    path,
                });
            } else {
                walk.wrong_shape(item, &path, *kind);
            }
        }
        Some(read)
    }

    /// The keys and values of a mapping with any keys; no value for one that is no text.
    pub(crate) fn pairs(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Vec<Pair<'n>>> {
        let node = self.take(walk, name)?;
        let Some(Kind::Map(_, kind)) = self.section.key(name).map(|key| key.kind) else {
            return None;
        };
        let Value::Map(entries) = &node.value.value else {
            return None;
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(key) = entry.key.text() else { continue };
            let path = join(&node.path, mask::key(key));
            let value = entry.value.text();
            match &entry.value.value {
                Value::Null => {
                    walk.diagnostics
                        .error(entry.key.span, &path, "this key has no value")
                        .hint("write \"\" for an empty one");
                }
                _ if value.is_none() => walk.wrong_shape(&entry.value, &path, Kind::Text(kind)),
                _ => {}
            }
            let read = |span| Read {
                value: (),
                span,
                path: path.clone(),
            };
            let value = value.map(|value| read(entry.value.span).map(|()| value));
            pairs.push((read(entry.key.span).map(|()| key), value));
        }
        Some(pairs)
    }

    /// The text of a key; empty ones are refused.
    pub(crate) fn text(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Read<&'n str>> {
        let node = self.take(walk, name)?;
        let text = node.value.text()?;
        if text.trim().is_empty() {
            walk.diagnostics
                .error(node.span, &node.path, format!("`{name}` is empty"));
            return None;
        }
        Some(node.map(|_| text))
    }

    /// A text that has a type of its own.
    pub(crate) fn parsed<T>(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Read<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(walk, name)?;
        walk.parse(text)
    }

    /// A path, joined to the file's folder; `names_file` when its content belongs to the configuration.
    pub(crate) fn path(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<PathBuf> {
        let text = self.text(walk, name)?;
        Some(walk.joined(text.value))
    }

    /// The path of a file whose content belongs to the configuration.
    pub(crate) fn file(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<PathBuf> {
        let text = self.text(walk, name)?;
        let path = walk.joined(text.value);
        walk.files.push(text.map(|_| path.clone()));
        Some(path)
    }

    /// One of the words of the table.
    pub(crate) fn choice(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<Read<&'static str>> {
        let text = self.text(walk, name)?;
        let Some(Kind::Choice(words)) = self.section.key(name).map(|key| key.kind) else {
            return None;
        };
        if let Some(word) = words.iter().find(|word| **word == text.value) {
            return Some(text.map(|_| *word));
        }
        let message = match words {
            [only] => format!("`{name}` must be {only}"),
            words => format!("`{name}` must be one of {}", words.join(", ")),
        };
        let near = suggest::nearest(text.value, words.iter().copied()).filter(|_| words.len() > 1);
        walk.diagnostics
            .error(text.span, &text.path, message)
            .hint_opt(near.map(|near| format!("did you mean `{near}`?")));
        None
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<bool> {
        let node = self.take(walk, name)?;
        let (text, plain) = match &node.value.value {
            Value::Scalar { text, plain } => (text.as_str(), *plain),
            _ => return None,
        };
        let hint = match (text, plain) {
            ("true", true) => return Some(true),
            ("false", true) => return Some(false),
            ("true" | "false", false) => Some("leave the quotes out"),
            ("yes" | "Yes" | "on" | "On" | "True" | "TRUE", _) => Some("write true"),
            ("no" | "No" | "off" | "Off" | "False" | "FALSE", _) => Some("write false"),
            _ => None,
        };
        walk.diagnostics
            .error(node.span, &node.path, format!("`{name}` must be true or false"))
            .hint_opt(hint);
        None
    }

    /// A whole number within the bounds of the table.
    pub(crate) fn integer(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<u16> {
        let node = self.take(walk, name)?;
        let Some(Kind::Integer { min, max }) = self.section.key(name).map(|key| key.kind) else {
            return None;
        };
        let number = match &node.value.value {
            // A leading zero means octal to some and decimal to others.
            Value::Scalar { text, plain: true }
                if text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') =>
            {
                text.parse::<u16>().ok()
            }
            _ => None,
        };
        let number = number.filter(|n| (min..=max).contains(n));
        if number.is_none() {
            let message = format!("`{name}` must be a whole number from {min} to {max}");
            walk.diagnostics.error(node.span, &node.path, message);
        }
        number
    }
}

impl Walk<'_> {
    /// Parses a text, and reports why it cannot be. The text is not repeated: the line shows it
    /// where it may be shown.
    pub(crate) fn parse<T>(&mut self, text: Read<&str>) -> Option<Read<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        match text.value.parse::<T>() {
            Ok(value) => Some(text.map(|_| value)),
            Err(error) => {
                let name = last(&text.path);
                self.diagnostics
                    .error(text.span, &text.path, format!("`{name}`: {error}"));
                None
            }
        }
    }
}
