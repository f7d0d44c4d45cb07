//! The one retry policy: how long to wait before trying again, whatever failed.
//!
//! Waits double from `first` to `most` and are spread over half their length, so that many waiters don't come back
//! at once. It never gives up: a sink that is down for an hour is tried for an hour; what must not be
//! retried is decided where the error is made (sink.rs).

use rand::Rng;
use std::time::Duration;

/// A growing pause.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// For a connection or a commit: 50 ms to 5 s.
    #[must_use]
    pub const fn sink() -> Self {
        Self::between(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// For asking the gateway again: from `first` to sixteen times that.
    #[must_use]
    pub const fn gateway(first: Duration) -> Self {
        Self::between(first, first.saturating_mul(16))
    }

    /// From `first` to `most`.
    #[must_use]
    pub const fn between(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// How long to wait now; longer the next time.
    pub fn wait(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.tries.min(16)).min(self.most);
        self.tries = self.tries.saturating_add(1);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// After a success.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }

    /// How often it has been asked since the last success.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_over_after_a_success() {
        let mut backoff = Backoff::between(Duration::from_millis(10), Duration::from_millis(80));
        let waits: Vec<_> = (0..8).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= Duration::from_millis(5) && waits[0] <= Duration::from_millis(10));
        assert!(waits[7] >= Duration::from_millis(40) && waits[7] <= Duration::from_millis(80));
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(10));
    }
}
