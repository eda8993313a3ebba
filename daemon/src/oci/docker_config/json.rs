//! JSON as Go's `encoding/json` reads it, with the place of every value.
//!
//! kubelet and docker are Go programs, so what they accept decides: names of fields fold their case,
//! `null` stands for nothing, a byte that is no UTF-8 or half a surrogate pair becomes U+FFFD. A
//! document is checked as a whole first; after that every value is a slice of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::MAX_SIZE;
use super::error::{DockerConfigError, DockerConfigErrorKind};

/// A whole document.
pub(super) struct Document(Zeroizing<String>);

/// A value within a document.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    document: &'a str,
    text: &'a str,
}

impl Document {
    /// Takes the bytes; what is no UTF-8 becomes U+FFFD, a byte at a time as in Go.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, DockerConfigError> {
        if bytes.len() > MAX_SIZE {
            return Err(DockerConfigError::nowhere(DockerConfigErrorKind::TooLarge));
        }
        let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        Ok(Self(text))
    }

    /// The one value that the document is.
    pub(super) fn root(&self) -> Result<Value<'_>, DockerConfigError> {
        let document = self.0.as_str();
        match serde_json::from_str::<&RawValue>(document) {
            Ok(raw) => Ok(Value {
                document,
                text: raw.get(),
            }),
            // The error's own text may quote what it met.
            Err(error) => Err(DockerConfigError {
                kind: DockerConfigErrorKind::NotJson,
                line: error.line(),
                column: error.column(),
            }),
        }
    }
}

impl<'a> Value<'a> {
    /// The text as it was written.
    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// Whether it is `null`.
    pub(super) fn is_null(self) -> bool {
        self.text == "null"
    }

    /// The fields of an object in their order, none for `null`; `kind` when it is neither.
    pub(super) fn fields(
        self,
        kind: DockerConfigErrorKind,
    ) -> Result<Vec<(String, Value<'a>)>, DockerConfigError> {
        if self.is_null() {
            return Ok(Vec::new());
        }
        if !self.text.starts_with('{') {
            return Err(self.error(kind));
        }
        let Fields(fields) = serde_json::from_str(self.text).map_err(|_| self.error(kind))?;
        let document = self.document;
        Ok(fields
            .into_iter()
            .map(|(key, raw)| {
                (
                    key,
                    Value {
                        document,
                        text: raw.get(),
                    },
                )
            })
            .collect())
    }

    /// A text, `None` for `null`; `kind` when it is neither.
    pub(super) fn string(
        self,
        kind: DockerConfigErrorKind,
    ) -> Result<Option<Zeroizing<String>>, DockerConfigError> {
        if self.is_null() {
            return Ok(None);
        }
        if !self.text.starts_with('"') {
            return Err(self.error(kind));
        }
        let Text(text) = serde_json::from_str(self.text).map_err(|_| self.error(kind))?;
        Ok(Some(Zeroizing::new(text)))
    }

    /// An error at this place.
    pub(super) fn error(self, kind: DockerConfigErrorKind) -> DockerConfigError {
        let offset = self.text.as_ptr().addr() - self.document.as_ptr().addr();
        let before = self.document.as_bytes().get(..offset).unwrap_or_default();
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        DockerConfigError {
            kind,
            line: 1 + before.iter().filter(|b| **b == b'\n').count(),
            column: 1 + offset - line_start,
        }
    }
}

/// Whether Go takes `key` for the field `name` (lower case): its names fold their case, and the two
/// letters of other scripts that fold to ASCII count too.
pub(super) fn is_field(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars())
}

/// `text` as a JSON text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// A text in which half of a surrogate pair is allowed, and becomes U+FFFD.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wtf8;

        impl Visitor<'_> for Wtf8 {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
                let mut text = String::with_capacity(bytes.len());
                let mut rest = bytes;
                while !rest.is_empty() {
                    let (valid, after) = match str::from_utf8(rest) {
                        Ok(all) => (all, &[][..]),
                        // A half is three bytes of this form, and nothing else is invalid here.
                        Err(error) => {
                            let (valid, half) = rest.split_at(error.valid_up_to());
                            let valid = str::from_utf8(valid).map_err(E::custom)?;
                            (valid, half.get(3..).unwrap_or_default())
                        }
                    };
                    text.push_str(valid);
                    if valid.len() < rest.len() {
                        text.push(char::REPLACEMENT_CHARACTER);
                    }
                    rest = after;
                }
                Ok(Text(text))
            }
        }

        deserializer.deserialize_bytes(Wtf8).map_err(D::Error::custom)
    }
}
