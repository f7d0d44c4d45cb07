//! A slot given back by its holder or taken back by an admin, and a place on the waitlist given up (R5, R6).
//! Next: apply.rs.

use super::log::Log;
use super::state::{PlaceState, Sale};
use crate::event::{ReclaimStatus, SlotExpired, SlotLeft};
use crate::ids::{SlotId, TraceId, UserId};
use crate::units::UnixMillis;
use crate::wire::Done;

impl Sale {
    /// The holder gives a slot back; its unit goes to the head of the waitlist, else to stock.
    pub fn release(
        &mut self,
        slot: &SlotId,
        user: &UserId,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        self.take_back(slot, (Some(user), None, ReclaimStatus::Released), trace, now, log)
    }

    /// An admin takes a slot back.
    pub fn reclaim(
        &mut self,
        slot: &SlotId,
        by: Option<&UserId>,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        self.take_back(slot, (None, by, ReclaimStatus::ManualReclaimed), trace, now, log)
    }

    fn take_back(
        &mut self,
        slot: &SlotId,
        (holder, by, status): (Option<&UserId>, Option<&UserId>, ReclaimStatus),
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        let arrival = slot.arrival;
        self.advance_for([arrival], now, log);
        if self.deleted {
            return Done::NoSale;
        }
        let Some(place) = self.place(arrival).filter(|_| slot.product == self.product) else {
            return Done::NoSlot;
        };
        if holder.is_some_and(|holder| *holder != place.user) {
            return Done::NotHolder;
        }
        if place.state != PlaceState::Active {
            return Done::NotActive;
        }
        if self.pending(arrival).is_some() {
            return Done::PaymentInProgress;
        }
        let (user, deadline, by) = (place.user.clone(), place.deadline, by.cloned());
        let expired = SlotExpired { arrival, user, deadline, status, by };
        self.commit(expired, now, trace.cloned(), log);
        self.promote(now, log);
        Done::Ok
    }

    /// A buyer leaves the waitlist.
    pub fn leave(
        &mut self,
        user: &UserId,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> Done {
        let now = now.max(self.last_at);
        self.advance_for([], now, log);
        if self.deleted {
            return Done::NoSale;
        }
        let waiting = self
            .places_of(user)
            .find(|(_, place)| place.state == PlaceState::Waiting)
            .map(|(arrival, _)| arrival);
        let Some(arrival) = waiting else { return Done::NotWaiting };
        self.commit(SlotLeft { arrival, user: user.clone() }, now, trace.cloned(), log);
        Done::Ok
    }
}
