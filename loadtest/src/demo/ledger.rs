//! What the buyers were told, to be held against what the system says later. Next: audit.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hdrhistogram::Histogram;
use slot_core::ids::{ProductId, SlotId, UserId};

/// What one acquire was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Granted,
    Held,
    Waiting,
    SoldOut,
    /// 503: ask again.
    Busy,
    /// Anything else, a time-out and a broken connection included.
    Wrong,
}

/// Everything that was told, by all buyers.
pub(super) struct Ledger {
    /// Each slot granted over HTTP, with its buyer; as often as it was told as new.
    pub(super) granted: BTreeMap<SlotId, Vec<UserId>>,
    /// Each slot told to a buyer as the one it has already.
    pub(super) held: Vec<(SlotId, UserId)>,
    /// Buyers who once heard nothing, or "ask again": they may hold a slot that nobody told them of.
    pub(super) unsure: BTreeSet<UserId>,
    /// How often each answer was given.
    pub(super) told: BTreeMap<(ProductId, Told), u64>,
    /// From the moment a request was due to its answer, in microseconds.
    pub(super) acquire_us: Histogram<u64>,
    pub(super) payment_us: Histogram<u64>,
    /// Payments that were accepted as PENDING.
    pub(super) payments: u64,
    /// Answers that nobody expects, the first few of them.
    pub(super) surprises: Vec<String>,
    pub(super) surprised: u64,
}

const SURPRISES_KEPT: usize = 10;
/// Longer waits count as this long; callers give up before.
const LONGEST_US: u64 = 60_000_000;

impl Ledger {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            granted: BTreeMap::new(),
            held: Vec::new(),
            unsure: BTreeSet::new(),
            told: BTreeMap::new(),
            acquire_us: Histogram::new_with_max(LONGEST_US, 3)?,
            payment_us: Histogram::new_with_max(LONGEST_US, 3)?,
            payments: 0,
            surprises: Vec::new(),
            surprised: 0,
        })
    }

    pub(super) fn tell(&mut self, product: ProductId, told: Told, took: Duration) {
        *self.told.entry((product, told)).or_default() += 1;
        self.acquire_us.saturating_record(micros(took));
    }

    pub(super) fn paid(&mut self, took: Duration) {
        self.payments += 1;
        self.payment_us.saturating_record(micros(took));
    }

    pub(super) fn surprise(&mut self, what: String) {
        self.surprised += 1;
        if self.surprises.len() < SURPRISES_KEPT {
            self.surprises.push(what);
        }
    }

    /// How often this was told, in this sale.
    pub(super) fn count(&self, product: ProductId, told: Told) -> u64 {
        self.told.get(&(product, told)).copied().unwrap_or(0)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
