//! The time, as a value that is handed in.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time to what must know it in the middle of long work. Decisions take
/// `now: Timestamp` instead.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that answers what `tell` says.
    pub fn new(tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// `base` plus what tokio's (pausable) time has moved since this call: for tests.
    #[must_use]
    pub fn from_tokio(base: Timestamp) -> Self {
        let start = tokio::time::Instant::now();
        Self::new(move || {
            let passed = jiff::SignedDuration::try_from(start.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
            base.checked_add(passed).unwrap_or(Timestamp::MAX)
        })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
