//! What a step has made happen: the lines that go to the stream, to the replicas and to the AOF.
//! Next: the module's store.rs.

use crate::chain::ChainHash;
use crate::units::EventNumber;

use super::time::STEP_LIMIT;

/// An event as it leaves the sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event's number; its stream id is `number-0`.
    pub number: EventNumber,
    /// Its line, the stream's field `e`.
    pub line: String,
    /// Its chain hash, the stream's field `c`.
    pub hash: ChainHash,
}

/// The events of one step, in order, and what time may still do in it: a batch of acquires is one step, so
/// however many find slots due, the bounds of R5 hold for all of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(pub Vec<Entry>, pub(super) Budget);

/// How much a step may still do beside what was asked for (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Due slots, or due payments, to end.
    pub(super) due: u32,
    /// Buyers to take off the waitlist.
    pub(super) promotions: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { due: STEP_LIMIT, promotions: STEP_LIMIT }
    }
}

impl Budget {
    /// Takes one off what is left; false where nothing is.
    pub(super) fn spend(left: &mut u32) -> bool {
        left.checked_sub(1).map(|less| *left = less).is_some()
    }
}
