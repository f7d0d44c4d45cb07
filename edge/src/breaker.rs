//! The circuit breaker in front of a shard: after a few failures in a row nobody waits for a server that
//! doesn't answer; after a pause one request tries again.
//! Next: shard.rs asks it before each exchange.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How long it stays open before one request may try.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    HalfOpen,
    Open,
}

pub(crate) struct Breaker {
    failures: Cell<u32>,
    /// Open or half-open until told otherwise; since when.
    opened: Cell<Option<Instant>>,
    /// When the one request that may try set out.
    trying: Cell<Option<Instant>>,
    /// After this long without an outcome the one that tried counts as lost.
    patience: Duration,
}

impl Breaker {
    pub(crate) const fn new(patience: Duration) -> Self {
        Self { failures: Cell::new(0), opened: Cell::new(None), trying: Cell::new(None), patience }
    }

    /// Whether an exchange may set out now; a yes while half-open makes the asker the one that tries.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let Some(opened) = self.opened.get() else { return true };
        let tried =
            self.trying.get().is_some_and(|since| now.duration_since(since) < self.patience);
        if now.duration_since(opened) < PAUSE || tried {
            return false;
        }
        self.trying.set(Some(now));
        true
    }

    pub(crate) fn succeeded(&self) {
        self.failures.set(0);
        self.opened.set(None);
        self.trying.set(None);
    }

    pub(crate) fn failed(&self, now: Instant) {
        self.failures.set(self.failures.get().saturating_add(1));
        self.trying.set(None);
        if self.failures.get() >= FAILURES {
            self.opened.set(Some(now));
        }
    }

    pub(crate) fn state(&self, now: Instant) -> State {
        match self.opened.get() {
            None => State::Closed,
            Some(opened) if now.duration_since(opened) < PAUSE => State::Open,
            Some(_) => State::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_try_after_a_pause() {
        let start = Instant::now();
        let breaker = Breaker::new(Duration::from_secs(2));
        for _ in 0..FAILURES {
            assert!(breaker.allows(start));
            breaker.failed(start);
        }
        assert_eq!(breaker.state(start), State::Open);
        assert!(!breaker.allows(start));
        let later = start + PAUSE;
        assert_eq!(breaker.state(later), State::HalfOpen);
        assert!(breaker.allows(later), "one may try");
        assert!(!breaker.allows(later), "only one");
        breaker.failed(later);
        assert!(!breaker.allows(later), "open again");
        assert!(breaker.allows(later + PAUSE));
        breaker.succeeded();
        assert_eq!(breaker.state(later), State::Closed);
        assert!(breaker.allows(later));
    }

    #[test]
    fn a_success_in_between_forgives() {
        let now = Instant::now();
        let breaker = Breaker::new(Duration::from_secs(2));
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.allows(now));
    }

    #[test]
    fn one_that_tried_and_was_lost_doesn_t_block_for_ever() {
        let start = Instant::now();
        let breaker = Breaker::new(Duration::from_secs(2));
        for _ in 0..FAILURES {
            breaker.failed(start);
        }
        let later = start + PAUSE;
        assert!(breaker.allows(later));
        assert!(!breaker.allows(later + Duration::from_secs(1)));
        assert!(breaker.allows(later + Duration::from_secs(2)));
    }
}
