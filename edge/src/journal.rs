//! The edge's log: one JSON line per event on standard output, written by a thread of its own. Every text in
//! a line has been checked or is escaped by the JSON writer, so a request can't forge a line; tokens and
//! secrets are never handed in.

use std::cell::Cell;

use slot_core::ids::{ProductId, SlotId, TraceId, UserId};
use slot_core::units::UnixMillis;
use slot_core::wire::PaymentView;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::config::LogRequests;
use crate::metrics::WorkerMetrics;

/// Starts the log; keep the guard until the process ends, so that the last lines are written.
pub(crate) fn start() -> WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .init();
    guard
}

/// One worker's share of the lines about requests.
pub(crate) struct Journal {
    /// Lines a second; `None` is all.
    share: Option<u32>,
    second: Cell<u64>,
    written: Cell<u32>,
    metrics: WorkerMetrics,
}

impl Journal {
    pub(crate) fn new(log: LogRequests, workers: usize, metrics: WorkerMetrics) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        let share = match log {
            LogRequests::All => None,
            LogRequests::PerSecond(lines) => Some(lines.div_ceil(workers)),
        };
        Self { share, second: Cell::new(0), written: Cell::new(0), metrics }
    }

    /// A buyer asked; `arrived` is by the edge's clock and goes into the sale's event too (R2).
    pub(crate) fn slot_requested(
        &self,
        trace: &TraceId,
        user: &UserId,
        product: ProductId,
        arrived: UnixMillis,
    ) {
        if !self.has_room(arrived) {
            self.metrics.shared.unlogged.inc();
            return;
        }
        tracing::info!(
            event = "SLOT_REQUESTED",
            traceId = trace.as_str(),
            userId = user.as_str(),
            productId = %product,
            arrivedMs = arrived.0
        );
    }

    fn has_room(&self, arrived: UnixMillis) -> bool {
        let Some(share) = self.share else { return true };
        let second = arrived.0 / 1_000;
        if self.second.replace(second) != second {
            self.written.set(0);
        }
        let room = self.written.get() < share;
        if room {
            self.written.set(self.written.get().saturating_add(1));
        }
        room
    }
}

pub(crate) fn slot_acquired(trace: &TraceId, user: &UserId, slot: SlotId) {
    tracing::info!(
        event = "SLOT_ACQUIRED",
        traceId = trace.as_str(),
        userId = user.as_str(),
        productId = %slot.product,
        slotId = %slot
    );
}

pub(crate) fn payment_completed(trace: &TraceId, payment: &PaymentView) {
    tracing::info!(
        event = "PAYMENT_COMPLETED",
        traceId = trace.as_str(),
        userId = payment.user.as_str(),
        slotId = %payment.slot,
        paymentId = %payment.id
    );
}
