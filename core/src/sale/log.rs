//! What a step has made happen: the lines that go to the stream, to the replicas and to the AOF.
//! Next: the module's store.rs.

use crate::chain::ChainHash;
use crate::units::EventNumber;

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

/// The events of one step, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(pub Vec<Entry>);
