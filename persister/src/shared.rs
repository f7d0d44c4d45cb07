//! What the parts of the process share: the command line, figures, all sinks' marks, the sales that stand still, and the
//! word to stop. Next: drain.rs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

use slot_core::ids::ProductId;

use crate::config::RunArgs;
use crate::health::Health;
use crate::marks::Committed;
use crate::metrics::Metrics;
use crate::share::Share;

/// What the parts of the process share.
#[derive(Debug)]
pub struct Shared {
    /// The command line.
    pub args: RunArgs,
    /// This writer's part of the sales.
    pub share: Share,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Health.
    pub health: Arc<Health>,
    /// All sinks' marks.
    pub committed: Committed,
    /// Sales that stand still for sinks and charges alike, until the process starts again.
    pub halted: Halted,
    /// Turns true when the process shall end.
    pub stop: watch::Receiver<bool>,
}

/// The sales whose history forked.
#[derive(Debug, Default)]
pub struct Halted(Mutex<HashSet<ProductId>>);

impl Halted {
    /// Whether the sale stands still.
    #[must_use]
    pub fn contains(&self, product: &ProductId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(product)
    }

    /// Notes a sale; whether it is new, and how many there are.
    #[must_use]
    pub fn insert(&self, product: ProductId) -> (bool, usize) {
        let mut halted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (halted.insert(product), halted.len())
    }
}

impl Shared {
    /// Whether the process shall end.
    #[must_use]
    pub fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, but not beyond the process's end.
    pub async fn pause(&self, span: Duration) {
        let mut stop = self.stop.clone();
        // An error means that the sender is gone: the process is ending.
        let _ended = tokio::time::timeout(span, stop.wait_for(|stop| *stop)).await;
    }
}
