//! What the drain asks of a sink, and what a sink gets: batches of events in their sales' order, with the marks
//! before and after.
//!
//! A sink keeps its marks inside itself and moves them in the transaction that brings the events; how, is its
//! own affair. Next: postgres/mod.rs, kafka/mod.rs.

use std::future::Future;

use slot_core::ids::ProductId;

use crate::history::Recorded;
use crate::marks::{Mark, Marks, SinkName};

/// Events of one sale, checked, none missing.
#[derive(Debug)]
pub struct SaleBatch {
    /// The sale.
    pub product: ProductId,
    /// What the sink had before.
    pub before: Mark,
    /// What it has after.
    pub after: Mark,
    /// The events between, in order; never none.
    pub events: Vec<Recorded>,
}

/// Events of many sales, for one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    /// Each sale once.
    pub sales: Vec<SaleBatch>,
}

impl Batch {
    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sales.iter().map(|sale| sale.events.len()).sum()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sales.is_empty()
    }

    /// Every event with its sale, in order within the sale.
    pub fn events(&self) -> impl Iterator<Item = (ProductId, &Recorded)> {
        self.sales.iter().flat_map(|sale| sale.events.iter().map(|event| (sale.product, event)))
    }
}

/// Why a sink did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The sink can't now, or nobody knows whether it did: open it again, look at its marks, go on from there.
    #[error("{0}")]
    Retry(String),
    /// Another process has taken this one's place; this one must end.
    #[error("{0}")]
    Fenced(String),
    /// These sales contradict what the sink has; the others can go on without them.
    #[error("{1}")]
    Contradicted(Vec<ProductId>, String),
}

/// A place that gets every event exactly once.
pub trait Sink: Send {
    /// Which one it is.
    const NAME: SinkName;

    /// Connects, shuts out older writers, and reads the marks of this writer's sales. Called at the start and after
    /// each [`SinkError::Retry`].
    fn open(&mut self) -> impl Future<Output = Result<Marks, SinkError>> + Send;

    /// Whether it is still there; asked now and then while there is nothing to bring.
    fn check(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Brings the events and moves the marks, both or neither.
    fn commit(&mut self, batch: Batch) -> impl Future<Output = Result<(), SinkError>> + Send;
}
