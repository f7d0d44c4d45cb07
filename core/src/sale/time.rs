//! What time does to a sale: payment windows pass (R7), slots expire (R4), freed units go to the waitlist (R5),
//! holders are warned (R12). The lazy check of every command and the sweeper both come here.
//! Next: apply.rs.

use super::log::{Budget, Log};
use super::state::{PaymentState, Place, PlaceState, Sale};
use crate::event::{
    FailureCause, Grant, PaymentFailed, ReclaimStatus, SlotAcquired, SlotExpired, SlotExpiringSoon,
};
use crate::units::{ArrivalNumber, UnixMillis};

/// How many due slots, and how many promotions, one step handles at most (R5).
pub const STEP_LIMIT: u32 = 256;

/// A place as it is at a moment, whether or not a sweep has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: PlaceState,
    pub(super) deadline: UnixMillis,
    pub(super) paying: bool,
}

impl Sale {
    /// The first moment at which time changes something; `None` while nothing can come.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMillis> {
        if self.can_promote() {
            return Some(self.last_at);
        }
        let first = |set: &std::collections::BTreeSet<(UnixMillis, ArrivalNumber)>| {
            set.first().map(|(at, _)| *at)
        };
        match (first(&self.index.due), first(&self.index.soon)) {
            (Some(due), Some(soon)) => Some(due.min(soon)),
            (due, soon) => due.or(soon),
        }
    }

    /// Lets time act up to `now`, on at most `limit` due slots, as many promotions and as many warnings.
    /// Answers how many slots it took back.
    pub fn advance(&mut self, now: UnixMillis, limit: u32, log: &mut Log) -> u32 {
        let now = now.max(self.last_at);
        log.1 = Budget { due: limit, promotions: limit };
        let reclaimed = self.end_due(now, log);
        self.promote(now, log);
        self.warn(limit, now, log);
        reclaimed
    }

    /// Lets time act before a command: the caller's own slots first, then others as far as the step's bounds
    /// allow.
    pub(super) fn advance_for(
        &mut self,
        own: impl IntoIterator<Item = ArrivalNumber>,
        now: UnixMillis,
        log: &mut Log,
    ) {
        if self.index.due.first().is_some_and(|(due, _)| *due <= now) {
            for arrival in own {
                // Twice at most: a payment that timed out may leave a slot that has expired.
                while self.is_due(arrival, now) {
                    self.end(arrival, now, log);
                }
            }
            self.end_due(now, log);
        }
        self.promote(now, log);
    }

    fn end_due(&mut self, now: UnixMillis, log: &mut Log) -> u32 {
        let mut reclaimed: u32 = 0;
        while let Some(&(due, arrival)) = self.index.due.first() {
            if due > now || !Budget::spend(&mut log.1.due) {
                break;
            }
            reclaimed = reclaimed.saturating_add(u32::from(self.end(arrival, now, log)));
        }
        reclaimed
    }

    fn is_due(&self, arrival: ArrivalNumber, now: UnixMillis) -> bool {
        self.place(arrival)
            .is_some_and(|place| place.state == PlaceState::Active && place.deadline <= now)
    }

    /// Ends what is due with a slot: its payment, or else the slot itself. True if it was the slot.
    fn end(&mut self, arrival: ArrivalNumber, now: UnixMillis, log: &mut Log) -> bool {
        let Some(place) = self.place(arrival) else { return false };
        let (user, trace) = (place.user.clone(), place.trace.clone());
        if let Some((attempt, payment)) = self.pending(arrival) {
            let deadline = self.deadline_after_failure(place, payment, payment.until);
            let cause = FailureCause::Timeout;
            let reason = "".into();
            let failed = PaymentFailed { arrival, attempt, user, cause, reason, deadline };
            self.commit(failed, now, trace, log);
            return false;
        }
        let (deadline, status) = (place.deadline, ReclaimStatus::AutoExpired);
        self.commit(SlotExpired { arrival, user, deadline, status, by: None }, now, trace, log);
        self.promote(now, log);
        true
    }

    fn can_promote(&self) -> bool {
        !self.paused && !self.closed && self.stock() > 0 && !self.index.waiting.is_empty()
    }

    /// Gives free units to the head of the waitlist (R5), as far as the step's bounds allow. A slot's clock
    /// starts now.
    pub(super) fn promote(&mut self, now: UnixMillis, log: &mut Log) {
        let now = now.max(self.last_at);
        while self.can_promote() && Budget::spend(&mut log.1.promotions) {
            let Some(&arrival) = self.index.waiting.first() else { break };
            let Some(place) = self.place(arrival) else { break };
            let (trace, arrived) = (place.trace.clone(), place.arrived);
            let acquired = SlotAcquired {
                arrival,
                user: place.user.clone(),
                deadline: now.plus(self.terms.ttl),
                arrived,
                how: Grant::Promoted,
                nth: place.nth,
            };
            self.commit(acquired, now, trace, log);
        }
    }

    fn warn(&mut self, limit: u32, now: UnixMillis, log: &mut Log) {
        for _ in 0..limit {
            let Some(&(at, arrival)) = self.index.soon.first() else { break };
            let Some(place) = self.place(arrival) else { break };
            if at > now || place.deadline <= now {
                break;
            }
            let (user, deadline, trace) = (place.user.clone(), place.deadline, place.trace.clone());
            self.commit(SlotExpiringSoon { arrival, user, deadline }, now, trace, log);
        }
    }

    /// A place by the clock: what it would be if time had acted up to `now` (R4).
    pub(super) fn seen(&self, arrival: ArrivalNumber, place: &Place, now: UnixMillis) -> Seen {
        let now = now.max(self.last_at);
        let pending = self.pending(arrival).map(|(_, payment)| payment);
        let mut seen =
            Seen { state: place.state, deadline: place.deadline, paying: pending.is_some() };
        if let Some(payment) = pending.filter(|payment| payment.until <= now) {
            seen.paying = false;
            seen.deadline = self.deadline_after_failure(place, payment, payment.until);
        }
        if seen.state == PlaceState::Active && !seen.paying && seen.deadline <= now {
            seen.state = PlaceState::Expired(ReclaimStatus::AutoExpired);
        }
        seen
    }

    /// A payment's state by the clock.
    pub(super) fn seen_payment(
        &self,
        state: PaymentState,
        until: UnixMillis,
        now: UnixMillis,
    ) -> PaymentState {
        if state == PaymentState::Pending && until <= now.max(self.last_at) {
            PaymentState::Failed(FailureCause::Timeout)
        } else {
            state
        }
    }
}
