//! A mapping read by its section of the key table, and the typed values in it.

use std::path::{Component, Path, PathBuf};

use crate::diagnostics::Diagnostics;
use crate::keys::{Key, Kind, Need, Section, Text};
use crate::mask;
use crate::suggest;
use crate::tree::{Entry, Node, Span, Value};

use super::hints;

/// A way that is longer is not repeated in a message.
const LONG: usize = 48;

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
    pub(super) section: &'static Section,
    /// The way to the mapping; empty at the top.
    pub(crate) path: String,
    /// The place to point at when something is missing.
    pub(crate) span: Span,
    pub(super) entries: Vec<(&'static Key, &'n Node)>,
}

impl<'a> Walk<'a> {
    /// A path of the file, joined to the file's folder and without any `.` in it, so that `./a` and
    /// `a` are the same.
    pub(crate) fn joined(&self, path: &str) -> PathBuf {
        let joined = self.base.join(path);
        let parts = joined.components().filter(|part| *part != Component::CurDir);
        let plain: PathBuf = parts.collect();
        if plain.as_os_str().is_empty() {
            return PathBuf::from(".");
        }
        plain
    }

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
        // Known keys, and those that unknown ones were meant as: none of them is missing.
        let mut there = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(name) = entry.key.text() else { continue };
            match section.key(name) {
                Some(key) => {
                    there.push(key.name);
                    if self.has_shape(key, entry, path) {
                        fields.entries.push((key, &entry.value));
                    }
                }
                None => there.extend(self.unknown(section, name, entry, path)),
            }
        }
        for key in section.keys {
            if key.need == Need::Required && !there.contains(&key.name) {
                let missing = match path {
                    "" => format!("`{}` is missing", key.name),
                    path => format!("`{}` is missing in {path}", key.name),
                };
                self.diagnostics
                    .error(named, join(path, key.name), missing)
                    .hint(hints::required(key));
            }
        }
        self.one_of(section, entries, path, named, &there);
        Some(fields)
    }

    /// Reports when not exactly one of the keys that exclude one another is there.
    fn one_of(
        &mut self,
        section: &Section,
        entries: &[Entry],
        path: &str,
        named: Span,
        there: &[&'static str],
    ) {
        let both: Vec<&str> = section
            .one_of
            .iter()
            .copied()
            .filter(|name| there.contains(name))
            .collect();
        let words = |names: &[&str], join| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(join)
        };
        match both.as_slice() {
            [_] => {}
            [] if section.one_of.is_empty() => {}
            [] => {
                let missing = format!("{} is missing in {path}", words(section.one_of, " or "));
                self.diagnostics
                    .error(named, path, missing)
                    .hint_opt(hints::one_of(section));
            }
            _ => {
                let second = entries
                    .iter()
                    .rev()
                    .find(|e| e.key.text().is_some_and(|t| both.contains(&t)));
                let span = second.map_or(named, |entry| entry.key.span);
                self.diagnostics
                    .error(
                        span,
                        path,
                        format!("{} exclude one another in {path}", words(&both, " and ")),
                    )
                    .hint("make them two items of the list");
            }
        }
    }

    /// Whether the value of a known key has the shape that the table tells.
    fn has_shape(&mut self, key: &Key, entry: &Entry, path: &str) -> bool {
        self.diagnostics.show(entry.key.span);
        let path = join(path, key.name);
        let right = match (&entry.value.value, key.kind) {
            (Value::Refused, _) => return false,
            (Value::Null, _) => {
                self.diagnostics
                    .error(entry.key.span, &path, format!("`{}` has no value", key.name))
                    .hint(hints::empty(key));
                return false;
            }
            (Value::Map(_), Kind::Section(_) | Kind::Either(..) | Kind::Map(..))
            | (Value::List(_), Kind::List(_)) => true,
            (Value::Scalar { .. }, kind) => !matches!(kind, Kind::Section(_) | Kind::List(_) | Kind::Map(..)),
            _ => false,
        };
        if !right {
            self.allow(&entry.value, key.kind);
            self.wrong_shape(&entry.value, &path, key.kind);
        }
        right
    }

    /// Reports an unknown key; the name of the key that was meant, if one was.
    fn unknown(&mut self, section: &Section, name: &str, entry: &Entry, path: &str) -> Option<&'static str> {
        let shown = mask::key(name);
        if shown == name {
            self.diagnostics.show(entry.key.span);
        }
        let message = match path {
            "" => format!("unknown key `{shown}`"),
            path => format!("unknown key `{shown}` in {path}"),
        };
        let holds_text = matches!(entry.value.value, Value::Scalar { .. });
        let near = suggest::meant(name, section);
        let secret = || holds_text && mask::names_a_secret(name);
        let (hint, meant) = if let Some(key) = near.filter(|key| key.kind != Kind::Text(Text::SecretFile)) {
            (format!("did you mean `{}`?", key.name), Some(key.name))
        } else if let Some(key) = near.filter(|_| !secret() || name.to_lowercase().contains("fil")) {
            (format!("did you mean `{}`?", key.name), Some(key.name))
        } else if let Some(hint) = suggest::belongs(name, section) {
            (hint, None)
        } else if secret() {
            let file = section.secret_file();
            (hints::secret(section), file.map(|key| key.name))
        } else {
            (format!("known here: {}", suggest::words(section)), None)
        };
        self.diagnostics
            .error(entry.key.span, join(path, shown), message)
            .hint(hint);
        meant
    }

    pub(crate) fn wrong_shape(&mut self, node: &Node, path: &str, wanted: Kind) {
        let is = match &node.value {
            Value::Null => {
                self.diagnostics
                    .error(node.span, path, format!("`{path}` has no value"));
                return;
            }
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Refused => return,
        };
        let what = match path {
            "" => "the file".to_owned(),
            // The line says the rest of a long way.
            long if long.len() > LONG => format!("`{}`", last(long)),
            path => format!("`{path}`"),
        };
        let words = suggest::kind(wanted);
        self.diagnostics
            .error(node.span, path, format!("{what} must be {words}, not {is}"))
            .hint_opt(hints::shape(node, wanted));
    }

    /// Lets a value of a harmless kind be seen in excerpts, unless it looks like a secret.
    pub(super) fn allow(&mut self, node: &Node, kind: Kind) {
        if let Some(text) = node.text()
            && kind.harmless()
            && !mask::looks_secret(text)
        {
            self.diagnostics.show(node.span);
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
