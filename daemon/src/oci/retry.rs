//! The only retry loop: whether by the error's class, how long by full jitter or by what the
//! registry asked for, and never more often than its budget allows.

use std::time::Duration;

use super::error::{ErrorKind, RegistryError};
use super::limit::Gate;

/// The most tries of one request.
pub(crate) const TRIES: u32 = 5;
/// The first wait is at most that long; each further one at most twice as long.
const BASE: Duration = Duration::from_millis(500);
/// No wait of our own choice is longer.
const CAP: Duration = Duration::from_secs(30);

/// How patient a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Tries in all.
    pub(crate) tries: u32,
    /// The longest wait that a registry may ask for.
    pub(crate) longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: TRIES,
            longest_wait: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// Runs `attempt` until it succeeds, fails for good, or patience is out.
    pub(crate) async fn run<T, F>(
        self,
        gate: &Gate,
        host: &str,
        operation: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut tried = 0;
        loop {
            self.wait_for(gate, host, operation).await?;
            tried += 1;
            let error = match attempt().await {
                Ok(done) => {
                    gate.good();
                    return Ok(done);
                }
                Err(error) => error,
            };
            if error.kind == ErrorKind::RateLimited {
                gate.too_many(error.retry_after);
            }
            if !error.is_retryable() || tried >= self.tries {
                return Err(error);
            }
            let wait = error.retry_after.unwrap_or_else(|| jittered(tried));
            if wait > self.longest_wait || !gate.may_retry() {
                return Err(error);
            }
            let (kind, milliseconds) = (error.kind.as_str(), wait.as_millis());
            tracing::debug!(host, operation, kind, tried, milliseconds, "will try again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until a pause that the registry asked for, of us or of another request, is over.
    async fn wait_for(self, gate: &Gate, host: &str, operation: &str) -> Result<(), RegistryError> {
        while let Some(left) = gate.pause() {
            if left > self.longest_wait {
                let mut error = RegistryError::new(ErrorKind::RateLimited, host, operation)
                    .detail("the registry asked to be left alone, and that time is not over");
                error.retry_after = Some(left);
                return Err(error);
            }
            tokio::time::sleep(left).await;
        }
        Ok(())
    }
}

/// Full jitter: anything from nothing to the cap of that round, so that many who failed together
/// do not come back together.
fn jittered(tried: u32) -> Duration {
    let most = BASE.saturating_mul(1 << (tried - 1).min(10)).min(CAP);
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{CAP, Retry, jittered};
    use crate::oci::error::{ErrorKind, RegistryError};
    use crate::oci::limit::Gate;

    fn error(kind: ErrorKind, retry_after: Option<u64>) -> RegistryError {
        let mut error = RegistryError::new(kind, "r.example", "read");
        error.retry_after = retry_after.map(Duration::from_secs);
        error
    }

    /// How often it was tried, how long it took, and what came of it.
    async fn tries(
        retry: Retry,
        script: &[Option<(ErrorKind, Option<u64>)>],
    ) -> (usize, u64, Option<ErrorKind>) {
        let (gate, tried, start) = (Gate::pair(4).0, Cell::new(0), Instant::now());
        let result = retry
            .run(&gate, "r.example", "read", || {
                let step = script
                    .get(tried.get())
                    .copied()
                    .unwrap_or(*script.last().unwrap());
                tried.set(tried.get() + 1);
                async move { step.map_or(Ok(()), |(kind, after)| Err(error(kind, after))) }
            })
            .await;
        (
            tried.get(),
            start.elapsed().as_secs(),
            result.err().map(|e| e.kind),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn exact_counts() {
        let default = Retry::default();
        for (kind, count) in [
            (ErrorKind::ServerError, 5),
            (ErrorKind::RateLimited, 5),
            (ErrorKind::ConnectionReset, 5),
            (ErrorKind::ConnectionRefused, 5),
            (ErrorKind::Timeout, 5),
            (ErrorKind::Unreachable, 5),
            (ErrorKind::ManifestUnknown, 1),
            (ErrorKind::CredentialsRejected, 1),
            (ErrorKind::LoginRequired, 1),
            (ErrorKind::Denied, 1),
            (ErrorKind::NotARegistry, 1),
            (ErrorKind::Malformed, 1),
            (ErrorKind::OriginRefused, 1),
            (ErrorKind::TlsUnknownCa, 1),
            (ErrorKind::TooLarge, 1),
            (ErrorKind::WriteRefused, 1),
        ] {
            let (tried, seconds, kind_after) = tries(default, &[Some((kind, None))]).await;
            assert_eq!((tried, kind_after), (count, Some(kind)));
            assert!(seconds <= 8, "{seconds} s");
        }
        let once = Retry { tries: 1, ..default };
        assert_eq!(tries(once, &[Some((ErrorKind::ServerError, None))]).await.0, 1);
        let then_good = [
            Some((ErrorKind::ServerError, None)),
            Some((ErrorKind::Timeout, None)),
            None,
        ];
        let (tried, _, failed) = tries(default, &then_good).await;
        assert_eq!((tried, failed), (3, None));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_was_told() {
        let patient = Retry {
            longest_wait: Duration::from_secs(3600),
            ..Retry::default()
        };
        let limited = |after| [Some((ErrorKind::RateLimited, Some(after))), None];
        assert_eq!(tries(patient, &limited(7)).await, (2, 7, None));
        assert_eq!(tries(patient, &limited(3600)).await, (2, 3600, None));
        assert_eq!(tries(patient, &limited(0)).await, (2, 0, None));
        let started = [Some((ErrorKind::ServerError, Some(9))), None];
        assert_eq!(tries(patient, &started).await, (2, 9, None));
        let limited = tries(Retry::default(), &limited(121)).await;
        assert_eq!(limited, (1, 0, Some(ErrorKind::RateLimited)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_everybody() {
        let gate = Gate::pair(4).0;
        gate.too_many(Some(Duration::from_secs(60)));
        let start = Instant::now();
        let calls = Cell::new(0);
        let attempt = || {
            calls.set(calls.get() + 1);
            async { Ok(()) }
        };
        let impatient = Retry {
            longest_wait: Duration::from_secs(10),
            ..Retry::default()
        };
        let refused = impatient.run(&gate, "r", "read", attempt).await.unwrap_err();
        assert_eq!((refused.kind, calls.get()), (ErrorKind::RateLimited, 0));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(60)));
        Retry::default().run(&gate, "r", "read", attempt).await.unwrap();
        assert_eq!((start.elapsed().as_secs(), calls.get()), (60, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_bounds_a_storm() {
        let (gate, calls) = (Gate::pair(4).0, Cell::new(0));
        for _ in 0..20 {
            let failed = Retry::default().run(&gate, "r", "read", || {
                calls.set(calls.get() + 1);
                async { Err::<(), _>(error(ErrorKind::ServerError, Some(0))) }
            });
            failed.await.unwrap_err();
        }
        assert_eq!(calls.get(), 20 + 10, "one each, and ten retries");
    }

    #[test]
    fn jitter_is_bounded() {
        for tried in 1..100 {
            let most = Duration::from_millis(500 << (tried - 1).min(6)).min(CAP);
            assert!((0..50).all(|_| jittered(tried) <= most));
        }
        assert!((0..50).any(|_| jittered(1) != jittered(1)));
    }
}
