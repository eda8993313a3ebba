//! Why a docker config cannot be used, without a byte of it.

use std::fmt;

use thiserror::Error;

/// A docker config that cannot be read: what is wrong and where, never with which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("failed to read the docker config: {kind}{}", Place(*.line, *.column))]
pub struct DockerConfigError {
    /// The closed class.
    pub kind: DockerConfigErrorKind,
    /// The line, from 1; 0 when no place can be named.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
}

/// The classes of [`DockerConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum DockerConfigErrorKind {
    /// Longer than [`super::MAX_SIZE`].
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// Not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// The top is no object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// `auths` is no object.
    #[error("`auths` is not an object")]
    Auths,
    /// An entry of `auths` is no object.
    #[error("an entry is not an object")]
    Entry,
    /// A field that must be a text is none.
    #[error("`username`, `password`, `email` or `auth` is not a text")]
    NotText,
    /// `auth` is not base64.
    #[error("`auth` is not base64")]
    AuthEncoding,
    /// `auth` decodes to something without a colon.
    #[error("`auth` is not base64 of `user:password`: it has no colon")]
    AuthColon,
    /// `HttpHeaders` is not a map of texts.
    #[error("`HttpHeaders` is not an object of texts")]
    Headers,
    /// A key comes twice where only one can be kept.
    #[error("a key comes twice")]
    Repeated,
    /// Bytes or escapes that are no Unicode text.
    #[error("it is not valid Unicode")]
    NotUnicode,
}

impl DockerConfigErrorKind {
    /// The name in reports and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Auths => "auths",
            Self::Entry => "entry",
            Self::NotText => "not_text",
            Self::AuthEncoding => "auth_encoding",
            Self::AuthColon => "auth_colon",
            Self::Headers => "headers",
            Self::Repeated => "repeated",
            Self::NotUnicode => "not_unicode",
        }
    }
}

impl DockerConfigError {
    pub(super) const fn nowhere(kind: DockerConfigErrorKind) -> Self {
        Self {
            kind,
            line: 0,
            column: 0,
        }
    }

    /// The closed class.
    #[must_use]
    pub const fn kind(&self) -> DockerConfigErrorKind {
        self.kind
    }
}

struct Place(usize, usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            line => write!(f, " (line {line}, column {})", self.1),
        }
    }
}
