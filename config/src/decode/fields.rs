//! A mapping read by its section of the key table, and the typed values in it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::diagnostics::Diagnostics;
use crate::keys::{Key, Kind, Need, Section, Text};
use crate::mask;
use crate::suggest;
use crate::tree::{Entry, Node, Span, Value};

/// What the walker carries along.
pub(crate) struct Walk<'a> {
    pub(crate) diagnostics: Diagnostics,
    /// Relative paths are relative to it.
    pub(crate) base: &'a Path,
    /// The files that the configuration names, and by which key.
    pub(crate) files: Vec<Read<PathBuf>>,
    /// The keys that the walker asked for: a test compares them with the table.
    #[cfg(test)]
    pub(crate) asked: std::collections::BTreeSet<(&'static str, &'static str)>,
}

/// A value and where it was read.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    pub(crate) path: String,
}

impl<T> Read<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: f(self.value),
            span: self.span,
            path: self.path,
        }
    }
}

/// The known keys of one mapping whose values have the shape that the table tells.
pub(crate) struct Fields<'n> {
    section: &'static Section,
    /// The way to the mapping; empty at the top.
    pub(crate) path: String,
    /// The place to point at when something is missing.
    pub(crate) span: Span,
    entries: Vec<(&'static Key, &'n Node)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(diagnostics: Diagnostics, base: &'a Path) -> Self {
        Self {
            diagnostics,
            base,
            files: Vec::new(),
            #[cfg(test)]
            asked: std::collections::BTreeSet::new(),
        }
    }

    /// Reads the mapping `node`; `named` is the place of its key.
    pub(crate) fn open<'n>(
        &mut self,
        section: &'static Section,
        node: &'n Node,
        path: &str,
        named: Span,
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_shape(node, path, Kind::Section(section));
            return None;
        };
        let mut fields = Fields {
            section,
            path: path.to_owned(),
            span: named,
            entries: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            if let Some(key) = self.known(section, entry, path) {
                fields.entries.push((key, &entry.value));
            }
        }
        for key in section.keys.iter().filter(|key| key.need == Need::Required) {
            let there = entries.iter().any(|e| e.key.text() == Some(key.name));
            if !there {
                let missing = match path {
                    "" => format!("`{}` is missing", key.name),
                    path => format!("`{}` is missing in {path}", key.name),
                };
                self.diagnostics
                    .error(named, join(path, key.name), missing)
                    .hint(required_hint(key));
            }
        }
        Some(fields)
    }

    /// The key of an entry if it is in the table and its value has the right shape.
    fn known(&mut self, section: &'static Section, entry: &Entry, path: &str) -> Option<&'static Key> {
        let name = entry.key.text()?;
        let Some(key) = section.key(name) else {
            self.unknown(section, entry, path);
            return None;
        };
        self.diagnostics.show(entry.key.span);
        let path = join(path, name);
        let right = match (&entry.value.value, key.kind) {
            (Value::Refused, _) => return None,
            (Value::Null, _) => {
                self.diagnostics
                    .error(entry.key.span, &path, format!("`{name}` has no value"))
                    .hint(empty_hint(key));
                return None;
            }
            (Value::Map(_), Kind::Section(_) | Kind::Either(..)) | (Value::List(_), Kind::List(_)) => true,
            (Value::Scalar { .. }, kind) => !matches!(kind, Kind::Section(_) | Kind::List(_)),
            _ => false,
        };
        if !right {
            self.allow(&entry.value, key.kind);
            self.wrong_shape(&entry.value, &path, key.kind);
        }
        right.then_some(key)
    }

    fn unknown(&mut self, section: &Section, entry: &Entry, path: &str) {
        let name = entry.key.text().unwrap_or_default();
        let shown = mask::key(name);
        if shown == name {
            self.diagnostics.show(entry.key.span);
        }
        let message = match path {
            "" => format!("unknown key `{shown}`"),
            path => format!("unknown key `{shown}` in {path}"),
        };
        let meant = suggest::for_key(name, section);
        let holds_text = matches!(entry.value.value, Value::Scalar { .. });
        let hint = match meant {
            Some(hint) => hint,
            None if holds_text && mask::names_a_secret(name) => secret_hint(section),
            None => format!("known here: {}", suggest::words(section)),
        };
        self.diagnostics
            .error(entry.key.span, join(path, shown), message)
            .hint(hint);
    }

    pub(crate) fn wrong_shape(&mut self, node: &Node, path: &str, wanted: Kind) {
        let is = match &node.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Refused => return,
        };
        let what = if path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{path}`")
        };
        let words = suggest::kind(wanted);
        self.diagnostics
            .error(node.span, path, format!("{what} must be {words}, not {is}"))
            .hint_opt(shape_hint(node, wanted));
    }

    /// Lets a value of a harmless kind be seen in excerpts, unless it looks like a secret.
    fn allow(&mut self, node: &Node, kind: Kind) {
        if let Some(text) = node.text()
            && kind.harmless()
            && !mask::looks_secret(text)
        {
            self.diagnostics.show(node.span);
        }
    }
}

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
        Some(walk.base.join(text.value))
    }

    /// The path of a file whose content belongs to the configuration.
    pub(crate) fn file(&self, walk: &mut Walk<'_>, name: &'static str) -> Option<PathBuf> {
        let text = self.text(walk, name)?;
        let path = walk.base.join(text.value);
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
            Value::Scalar { text, plain: true } if text.bytes().all(|b| b.is_ascii_digit()) => {
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

/// The way to a key of the mapping at `path`.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The last key of a way, with the index of a list item.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, last)| last)
}

/// How to write a key that is missing.
fn required_hint(key: &Key) -> String {
    match key.kind {
        Kind::Choice([only]) => format!("add `{}: {only}`", key.name),
        Kind::List(_) => format!("`{}: []` is an empty one", key.name),
        _ => format!("such as `{}: {}`", key.name, example(key)),
    }
}

/// What to do about a key without a value.
fn empty_hint(key: &Key) -> String {
    match key.kind {
        Kind::Section(section) => match section.keys.iter().find(|key| key.need == Need::Required) {
            Some(needed) => format!("leave it out, or give it `{}`", needed.name),
            None => "leave it out, or write {} for all defaults".to_owned(),
        },
        Kind::List(_) => "leave it out, or write []".to_owned(),
        _ => format!("such as `{}: {}`", key.name, example(key)),
    }
}

fn example(key: &Key) -> String {
    match (key.need, key.kind) {
        (Need::Default(default), _) if !default.contains(' ') => default.to_owned(),
        (_, Kind::Text(Text::Path | Text::SecretFile)) => {
            format!("/etc/syncd/{}", key.name.trim_end_matches("File").to_lowercase())
        }
        (_, Kind::Text(text) | Kind::Either(text, _)) => text.example().to_owned(),
        (_, Kind::Choice(words)) => words.first().copied().unwrap_or_default().to_owned(),
        (_, Kind::Integer { min, .. }) => min.to_string(),
        (_, Kind::Bool) => "true".to_owned(),
        (_, Kind::Section(_) | Kind::List(_)) => "…".to_owned(),
    }
}

/// What to do about another shape than the wanted one.
fn shape_hint(node: &Node, wanted: Kind) -> Option<String> {
    match (wanted, &node.value) {
        (Kind::List(_), Value::Map(_)) => Some("begin each item with `- `".to_owned()),
        (Kind::List(_), Value::Scalar { .. }) => {
            Some("write it in brackets, or on a line of its own after `- `".to_owned())
        }
        (Kind::Section(section), Value::Scalar { .. }) => {
            let first = section.keys.iter().find(|key| key.need == Need::Required)?;
            Some(format!("such as `{}: {}`", first.name, example(first)))
        }
        _ => None,
    }
}

/// Where a secret goes that stands at a key nobody knows.
fn secret_hint(section: &Section) -> String {
    let is_file = |key: &&Key| key.kind == Kind::Text(Text::SecretFile);
    let file = match section.keys.iter().find(is_file) {
        Some(key) => format!("`{}`", key.name),
        None if section.key("basic").is_some() => "`basic.passwordFile`".to_owned(),
        None => return "secrets are never inline".to_owned(),
    };
    format!("secrets are never inline: put it in a file, and name the file in {file}")
}
