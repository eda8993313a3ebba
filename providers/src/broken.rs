//! An identity that cannot even be set up: it says so each time it is asked for a token, so that
//! one wrong entry never stops the others.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::token::{Token, TokenError, TokenErrorKind, TokenProvider};

/// An identity that failed to be set up.
pub struct Broken {
    identity: String,
    kind: TokenErrorKind,
    detail: String,
}

impl Broken {
    /// An identity that fails with what `error` says.
    #[must_use]
    pub fn new(error: TokenError) -> Self {
        let mut detail = error.detail.clone();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            detail = format!("{detail}: {error}");
            cause = error.source();
        }
        Self {
            kind: error.kind,
            identity: error.identity,
            detail,
        }
    }

    /// What was set up, or what tells why it was not.
    pub fn or<P: TokenProvider + 'static>(made: Result<P, TokenError>) -> Arc<dyn TokenProvider> {
        match made {
            Ok(provider) => Arc::new(provider),
            Err(error) => Arc::new(Self::new(error)),
        }
    }
}

impl TokenProvider for Broken {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn mint(&self, _: Timestamp) -> BoxFuture<'_, Result<Token, TokenError>> {
        Box::pin(async move { Err(TokenError::new(self.kind, &self.identity, &self.detail)) })
    }

    fn is_current(&self, _: &Token) -> bool {
        false
    }

    fn rejected(&self, _: &Token) {}

    fn useful_minimum(&self) -> Duration {
        Duration::ZERO
    }

    fn is_local(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Broken;
    use crate::token::{TokenError, TokenErrorKind};

    #[tokio::test]
    async fn says_each_time_what_is_wrong() {
        let error = || TokenError::new(TokenErrorKind::Misconfigured, "gar: x", "no such file");
        let provider = Broken::or(Err::<Broken, _>(error()));
        for _ in 0..2 {
            let told = provider.mint(Timestamp::UNIX_EPOCH).await.unwrap_err();
            assert_eq!(told.to_string(), error().to_string());
            assert_eq!(told.kind, TokenErrorKind::Misconfigured);
            assert_eq!(told.identity, provider.identity());
        }
    }
}
