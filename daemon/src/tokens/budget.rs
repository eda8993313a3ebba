//! How often one issuer may be asked.

use std::time::Duration;

use tokio::time::Instant;

/// Mints that may follow each other at once.
const BURST: f64 = 10.0;
/// Mints a minute in the long run: with the burst, 130 in any hour.
const A_MINUTE: f64 = 2.0;

/// How often an issuer is asked, whatever the reason.
pub(super) struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            left: BURST,
            at: Instant::now(),
        }
    }

    /// How long until there is one more; zero when there is one now.
    pub(super) fn wait(&mut self) -> Duration {
        let now = Instant::now();
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.left = (self.left + minutes * A_MINUTE).min(BURST);
        self.at = now;
        // Parts add up to a little less than they should.
        let missing = 1.0 - 1e-6 - self.left;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(missing / A_MINUTE * 60.0)
    }

    pub(super) fn take(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
    }
}
