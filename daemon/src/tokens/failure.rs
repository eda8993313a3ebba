//! Why there is no token, for as many as asked.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use syncd_config::text::clean;
use syncd_providers::{TokenError, TokenErrorKind};

/// A [`TokenError`] that many can have.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) kind: TokenErrorKind,
    detail: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Debug)]
struct SharedSource(Arc<dyn StdError + Send + Sync>);

impl fmt::Display for SharedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedSource {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl Failure {
    pub(super) fn new(kind: TokenErrorKind, detail: String) -> Self {
        Self {
            kind,
            detail,
            source: None,
        }
    }

    /// The issuer is left alone for that long.
    pub(super) fn too_often(wait: Duration) -> Self {
        Self::new(
            TokenErrorKind::Throttled,
            format!(
                "its issuer was asked too often; the next try is in {} s",
                wait.as_secs().saturating_add(1)
            ),
        )
    }

    pub(super) fn of(error: TokenError) -> Self {
        Self {
            kind: error.kind,
            detail: clean(&error.detail),
            source: error.source.map(Arc::from),
        }
    }

    pub(super) fn error(&self, identity: &str) -> TokenError {
        let source = self.source.clone();
        TokenError {
            kind: self.kind,
            identity: identity.to_owned(),
            detail: self.detail.clone(),
            source: source.map(|source| Box::new(SharedSource(source)) as Box<dyn StdError + Send + Sync>),
        }
    }

    /// The words and their causes in one line.
    pub(super) fn line(&self) -> String {
        let mut line = self.detail.clone();
        let mut cause = self.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(error) = cause {
            line = format!("{line}: {}", clean(&error.to_string()));
            cause = error.source();
        }
        clean(&line)
    }
}
