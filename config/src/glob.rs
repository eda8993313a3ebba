//! Patterns over names: `*` stands for any run of characters, `?` for one.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest pattern; the names it is for have at most 253 characters.
const LONGEST: usize = 253;

/// A pattern over the names of Kubernetes namespaces (RFC 1123 labels with `*` and `?`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Glob(Box<str>);

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// Nothing there.
    #[error("the pattern is empty")]
    Empty,
    /// More than 253 characters.
    #[error("a pattern has at most 253 characters")]
    Length,
    /// A character that is in no namespace's name and has no meaning.
    #[error("a pattern has only a-z, 0-9, `-`, and `*` and `?` for what may vary")]
    Character,
}

impl Glob {
    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for exactly one name.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether it fits the whole of `name`. Takes time in proportion to the product of both lengths
    /// at worst, whatever the pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last `*` was, and what it has swallowed: only the last one is ever reconsidered.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(c) if *c == b'?' || *c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, swallowed)) = star else { return false };
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    n = swallowed + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > LONGEST {
            return Err(GlobError::Length);
        }
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b);
        if !text.bytes().all(known) {
            return Err(GlobError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
