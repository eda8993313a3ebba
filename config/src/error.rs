//! What is wrong with a configuration, each problem with its place and a remedy.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// The most problems of one run that are shown; the rest is counted.
pub(crate) const SHOWN: usize = 100;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used.
    Warning,
}

/// One problem of a configuration file. Nothing in it repeats a value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 when the problem has no place in the file.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The way to the key, such as `mirror.images[2].source`; empty for the whole file.
    pub key_path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line, with `****` for everything that could be a secret.
    pub excerpt: Option<Excerpt>,
}

/// The offending line and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line as it may be shown.
    pub text: String,
    /// Where the part starts in `text`, in characters.
    pub caret: usize,
    /// How long it is.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file)?,
            line => write!(f, "{}:{line}:{}: ", self.file, self.column)?,
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(Excerpt { text, caret, width }) = &self.excerpt {
            let (blank, mark) = (" ".repeat(*caret), "^".repeat(*width));
            write!(f, "\n  | {text}\n  | {blank}{mark}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  help: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems found in one run, in the order of their places. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// For a file that gives no configuration and no reason, which would be a mistake here.
    pub(crate) fn unexplained(file: &str) -> Self {
        Self(vec![Problem {
            severity: Severity::Error,
            file: file.to_owned(),
            line: 0,
            column: 0,
            key_path: String::new(),
            message: "the file could not be understood".to_owned(),
            hint: None,
            excerpt: None,
        }])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("failed to read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read and is wrong.
    #[error("{0}")]
    Invalid(Problems),
}

/// The classes of [`LoadError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadErrorKind {
    /// There is no such file.
    NotFound,
    /// The file may not be read.
    NotPermitted,
    /// Reading failed in another way.
    Unreadable,
    /// The content is wrong.
    Invalid,
}

impl LoadErrorKind {
    /// The word for logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotPermitted => "not_permitted",
            Self::Unreadable => "unreadable",
            Self::Invalid => "invalid",
        }
    }
}

impl LoadError {
    /// The class.
    #[must_use]
    pub fn kind(&self) -> LoadErrorKind {
        use std::io::ErrorKind;
        match self {
            Self::Read { source, .. } => match source.kind() {
                ErrorKind::NotFound => LoadErrorKind::NotFound,
                ErrorKind::PermissionDenied => LoadErrorKind::NotPermitted,
                _ => LoadErrorKind::Unreadable,
            },
            Self::Invalid(_) => LoadErrorKind::Invalid,
        }
    }

    /// What to do about it, where the problems do not say it themselves.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            LoadErrorKind::NotFound => Some(
                "name the file with --config or SYNCD_CONFIG; `syncd config example` prints one to start from",
            ),
            LoadErrorKind::NotPermitted => Some("the user syncd runs as must be able to read it"),
            LoadErrorKind::Unreadable | LoadErrorKind::Invalid => None,
        }
    }
}
