//! The state of a sale. What a fold of the events gives is kept; everything that follows from it (counters,
//! indexes) is rebuilt on load and not part of the digest. Next: apply.rs changes it.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::chain::ChainHash;
use crate::event::{FailureCause, ReclaimStatus, RefundReason};
use crate::ids::{ChargeSeal, ProductId, TraceId, UserId};
use crate::units::{
    ArrivalNumber, AttemptNumber, EventNumber, Millis, PaymentMethod, Price, UnixMillis,
};

/// What was agreed when the product was created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) name: Box<str>,
    pub(super) description: Box<str>,
    pub(super) total: u32,
    pub(super) sale_date: UnixMillis,
    pub(super) ttl: Millis,
    pub(super) waitlist: u32,
    pub(super) limit: u32,
    pub(super) payment_window: Millis,
    pub(super) expiring_soon: Millis,
    pub(super) price: Option<Price>,
    pub(super) created: UnixMillis,
}

/// What a place has come to, as far as events say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PlaceState {
    Waiting,
    Left,
    Active,
    Completed,
    Expired(ReclaimStatus),
}

/// What one arrival number stands for: a slot, or a place on the waitlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) user: UserId,
    pub(super) trace: Option<TraceId>,
    pub(super) state: PlaceState,
    /// Whether SLOT_EXPIRING_SOON has been said (R12).
    pub(super) warned: bool,
    pub(super) created: UnixMillis,
    pub(super) arrived: Option<UnixMillis>,
    /// Which of its user's slots it was asked for as (R9).
    pub(super) nth: u32,
    /// When it was granted; 0 before.
    pub(super) acquired: UnixMillis,
    /// The time that counts: its deadline, or while paying until when it is held; 0 before the grant.
    pub(super) deadline: UnixMillis,
    /// The same user's place before this one; 0 is none.
    #[serde(skip)]
    pub(super) previous: ArrivalNumber,
}

/// What a payment has come to, as far as events say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PaymentState {
    Pending,
    Success,
    Failed(FailureCause),
    RefundDue(RefundReason),
}

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) key: Box<str>,
    pub(super) price: Price,
    pub(super) method: PaymentMethod,
    pub(super) seal: ChargeSeal,
    /// What the slot gets back if the payment fails.
    pub(super) remaining: Millis,
    pub(super) until: UnixMillis,
    pub(super) started: UnixMillis,
    pub(super) changed: UnixMillis,
    pub(super) state: PaymentState,
    pub(super) reference: Box<str>,
    pub(super) reason: Box<str>,
}

/// A charge that the sale does not know, by what its id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct UnknownCharge {
    pub(super) arrival: ArrivalNumber,
    pub(super) attempt: AttemptNumber,
    pub(super) seal: ChargeSeal,
}

/// A sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sale {
    pub(super) product: ProductId,
    pub(super) terms: Terms,
    pub(super) paused: bool,
    pub(super) closed: bool,
    pub(super) deleted: bool,
    /// The place of arrival number n is at n − 1.
    pub(super) places: Vec<Place>,
    /// Each slot's payments by attempt; attempt n is at n − 1.
    pub(super) payments: BTreeMap<ArrivalNumber, Vec<Payment>>,
    pub(super) unknown_charges: BTreeSet<UnknownCharge>,
    pub(super) last_number: EventNumber,
    pub(super) last_at: UnixMillis,
    pub(super) head: ChainHash,
    #[serde(skip)]
    pub(super) index: Index,
}

/// Everything that follows from the rest of the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) active: u32,
    pub(super) completed: u32,
    pub(super) expired: u32,
    pub(super) paying: u32,
    pub(super) refunds: u32,
    /// The waitlist: promotion keeps the arrival number, so its order is theirs.
    pub(super) waiting: BTreeSet<ArrivalNumber>,
    /// ACTIVE slots by the time that counts.
    pub(super) due: BTreeSet<(UnixMillis, ArrivalNumber)>,
    /// ACTIVE slots not paying whose holder has not been warned, by when that is due (R12).
    pub(super) soon: BTreeSet<(UnixMillis, ArrivalNumber)>,
    /// Each user's latest place, found by the hash of the user's id.
    users: HashTable<ArrivalNumber>,
}

fn hash_of(user: &str) -> u64 {
    // Fixed keys: the same on every node. User ids come from the token's issuer, not from the buyer.
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}

fn place_in(places: &[Place], arrival: ArrivalNumber) -> Option<&Place> {
    places.get(usize::try_from(arrival.0.checked_sub(1)?).ok()?)
}

impl Sale {
    /// The product sold.
    #[must_use]
    pub const fn product(&self) -> ProductId {
        self.product
    }

    /// Whether PRODUCT_DELETED has hidden the sale.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// The last event's number.
    #[must_use]
    pub const fn last_number(&self) -> EventNumber {
        self.last_number
    }

    /// The last event's time; the sale's time never is before it.
    #[must_use]
    pub const fn last_at(&self) -> UnixMillis {
        self.last_at
    }

    /// The last event's chain hash.
    #[must_use]
    pub const fn head(&self) -> ChainHash {
        self.head
    }

    /// How many arrival numbers have been given out; also a measure of the effort to free the sale.
    #[must_use]
    pub fn arrivals(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Units not held by anyone (R1).
    pub(super) fn stock(&self) -> u32 {
        self.terms.total.saturating_sub(self.index.active).saturating_sub(self.index.completed)
    }

    pub(super) fn place(&self, arrival: ArrivalNumber) -> Option<&Place> {
        place_in(&self.places, arrival)
    }

    pub(super) fn place_mut(&mut self, arrival: ArrivalNumber) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(arrival.0.checked_sub(1)?).ok()?)
    }

    pub(super) fn payment(
        &self,
        arrival: ArrivalNumber,
        attempt: AttemptNumber,
    ) -> Option<&Payment> {
        self.payments.get(&arrival)?.get(usize::from(attempt.0.checked_sub(1)?))
    }

    pub(super) fn payment_mut(
        &mut self,
        arrival: ArrivalNumber,
        attempt: AttemptNumber,
    ) -> Option<&mut Payment> {
        self.payments.get_mut(&arrival)?.get_mut(usize::from(attempt.0.checked_sub(1)?))
    }

    /// The slot's payment in flight; only the last attempt can be (R7).
    pub(super) fn pending(&self, arrival: ArrivalNumber) -> Option<(AttemptNumber, &Payment)> {
        let payments = self.payments.get(&arrival)?;
        let attempt = AttemptNumber(u8::try_from(payments.len()).ok()?);
        payments.last().filter(|p| p.state == PaymentState::Pending).map(|p| (attempt, p))
    }

    /// The last moment to which a slot's deadline can move (R7).
    pub(super) fn latest_deadline(&self, place: &Place) -> UnixMillis {
        place.acquired.plus(self.terms.ttl).plus(self.terms.payment_window)
    }

    /// The deadline of a slot whose payment failed at this moment: what was left of its time is given back (R7).
    pub(super) fn deadline_after_failure(
        &self,
        place: &Place,
        payment: &Payment,
        at: UnixMillis,
    ) -> UnixMillis {
        at.plus(payment.remaining).min(self.latest_deadline(place))
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.index.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Counts payments by what they have come to. O(payments).
    pub(super) fn count_payments(&self, wanted: impl Fn(PaymentState) -> bool) -> u32 {
        let payments = self.payments.values().flatten();
        u32::try_from(payments.filter(|p| wanted(p.state)).count()).unwrap_or(u32::MAX)
    }

    /// A user's places, the latest first.
    pub(super) fn places_of(
        &self,
        user: &UserId,
    ) -> impl Iterator<Item = (ArrivalNumber, &Place)> + use<'_> {
        let latest = self
            .index
            .users
            .find(hash_of(user.as_str()), |&arrival| {
                self.place(arrival).is_some_and(|place| place.user == *user)
            })
            .copied();
        std::iter::successors(latest.and_then(|a| self.place(a).map(|p| (a, p))), |(_, place)| {
            self.place(place.previous).map(|p| (place.previous, p))
        })
    }

    /// Takes a new place in and links it to its user's others.
    pub(super) fn push_place(&mut self, arrival: ArrivalNumber, mut place: Place) {
        let Self { places, index, .. } = self;
        let hash = hash_of(place.user.as_str());
        let known = index
            .users
            .find_mut(hash, |&a| place_in(places, a).is_some_and(|p| p.user == place.user));
        match known {
            Some(latest) => place.previous = std::mem::replace(latest, arrival),
            None => {
                place.previous = ArrivalNumber(0);
                index.users.insert_unique(hash, arrival, |&a| {
                    // The place being added is not in the list yet; all others are.
                    place_in(places, a).map_or(hash, |p| hash_of(p.user.as_str()))
                });
            }
        }
        places.push(place);
    }

    /// Enters a slot that has just become or stays ACTIVE where time looks for it.
    pub(super) fn schedule(&mut self, arrival: ArrivalNumber) {
        let Some((deadline, warned)) = self.place(arrival).map(|p| (p.deadline, p.warned)) else {
            return;
        };
        self.index.due.insert((deadline, arrival));
        if !warned && self.pending(arrival).is_none() {
            self.index.soon.insert((self.warn_at(deadline), arrival));
        }
    }

    /// Takes a slot out of where time looks for it; call it before its deadline changes.
    pub(super) fn unschedule(&mut self, arrival: ArrivalNumber) {
        let Some(deadline) = self.place(arrival).map(|p| p.deadline) else { return };
        self.index.due.remove(&(deadline, arrival));
        self.index.soon.remove(&(self.warn_at(deadline), arrival));
    }

    fn warn_at(&self, deadline: UnixMillis) -> UnixMillis {
        UnixMillis(deadline.0.saturating_sub(self.terms.expiring_soon.0))
    }

    /// Makes the index anew after a load.
    pub(super) fn rebuild_index(&mut self) {
        self.index = Index::default();
        let places = std::mem::take(&mut self.places);
        for (number, place) in (1..).map(ArrivalNumber).zip(places) {
            let state = place.state;
            self.push_place(number, place);
            match state {
                PlaceState::Waiting => {
                    self.index.waiting.insert(number);
                }
                PlaceState::Active => {
                    self.index.active = self.index.active.saturating_add(1);
                    self.schedule(number);
                }
                PlaceState::Completed => {
                    self.index.completed = self.index.completed.saturating_add(1);
                }
                PlaceState::Expired(_) => {
                    self.index.expired = self.index.expired.saturating_add(1);
                }
                PlaceState::Left => {}
            }
        }
        let paying = self.count_payments(|state| state == PaymentState::Pending);
        let refunds = self.count_payments(|state| matches!(state, PaymentState::RefundDue(_)));
        let unknown = u32::try_from(self.unknown_charges.len()).unwrap_or(u32::MAX);
        self.index.paying = paying;
        self.index.refunds = refunds.saturating_add(unknown);
    }

    /// Roughly how many bytes the sale takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let people: usize = self
            .places
            .iter()
            .flat_map(|p| [p.user.as_str().len(), p.trace.as_ref().map_or(0, |t| t.as_str().len())])
            .fold(0, usize::saturating_add);
        let payments: usize = self.payments.values().map(Vec::len).fold(0, usize::saturating_add);
        let timers = self.index.due.len().saturating_add(self.index.soon.len());
        [
            size_of::<Self>(),
            people,
            self.places.capacity().saturating_mul(size_of::<Place>()),
            payments.saturating_mul(size_of::<Payment>()),
            timers.saturating_mul(size_of::<(UnixMillis, ArrivalNumber)>()),
            self.index.users.capacity().saturating_mul(size_of::<ArrivalNumber>()),
            self.index.waiting.len().saturating_mul(size_of::<ArrivalNumber>()),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}
