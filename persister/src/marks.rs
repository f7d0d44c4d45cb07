//! A mark: how far a sink has a sale, as event number and chain hash. And the table of all sinks' marks from
//! which trimming takes the lower one.
//!
//! Where a mark is stored is its sink's affair (postgres/marks.rs, kafka/marks.rs): always inside the sink, moved
//! in the transaction that brings the events. Next: history.rs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use slot_core::chain::ChainHash;
use slot_core::ids::ProductId;
use slot_core::units::EventNumber;

/// The last event of a sale that a sink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its number; 0 before the first event.
    pub number: EventNumber,
    /// Its chain hash; the product's origin before the first event.
    pub hash: ChainHash,
}

impl Mark {
    /// The mark of a sink that has nothing of this sale yet.
    #[must_use]
    pub fn origin(product: &ProductId) -> Self {
        Self { number: EventNumber(0), hash: ChainHash::origin(product) }
    }
}

/// The marks of one sink.
pub type Marks = HashMap<ProductId, Mark>;

/// The sinks that keep marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkName {
    /// postgres/mod.rs
    Postgres,
    /// kafka/mod.rs
    Kafka,
}

impl SinkName {
    /// As in metrics and log lines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
        }
    }
}

/// What each sink is known to have committed; a sink that has not told its marks yet holds trimming back.
#[derive(Debug)]
pub struct Committed {
    sinks: Vec<SinkName>,
    marks: Mutex<HashMap<ProductId, Vec<(SinkName, Mark)>>>,
}

impl Committed {
    /// A table for these sinks.
    #[must_use]
    pub fn new(sinks: Vec<SinkName>) -> Self {
        Self { sinks, marks: Mutex::default() }
    }

    /// Notes what a sink has of these sales.
    pub fn note(&self, sink: SinkName, marks: impl IntoIterator<Item = (ProductId, Mark)>) {
        let mut table = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        for (product, mark) in marks {
            let of_sale = table.entry(product).or_default();
            match of_sale.iter_mut().find(|(name, _)| *name == sink) {
                Some(known) => known.1 = mark,
                None => of_sale.push((sink, mark)),
            }
        }
    }

    /// For each sale that all sinks have something of: the lower of their marks.
    #[must_use]
    pub fn lower(&self) -> Vec<(ProductId, Mark)> {
        let table = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .iter()
            .filter(|(_, of_sale)| of_sale.len() == self.sinks.len())
            .filter_map(|(product, of_sale)| {
                let lower = of_sale.iter().map(|(_, mark)| *mark).min_by_key(|mark| mark.number)?;
                Some((*product, lower))
            })
            .filter(|(_, mark)| mark.number.0 > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::units::UnixMillis;

    fn mark(number: u64) -> Mark {
        Mark { number: EventNumber(number), hash: ChainHash::from_bytes([number as u8; 16]) }
    }

    #[test]
    fn trimming_follows_the_lower_mark_and_waits_for_every_sink() {
        let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
        let committed = Committed::new(vec![SinkName::Postgres, SinkName::Kafka]);
        committed.note(SinkName::Postgres, [(product, mark(9))]);
        assert_eq!(committed.lower(), []);
        committed.note(SinkName::Kafka, [(product, mark(4))]);
        assert_eq!(committed.lower(), [(product, mark(4))]);
        committed.note(SinkName::Kafka, [(product, mark(12))]);
        assert_eq!(committed.lower(), [(product, mark(9))]);
    }
}
