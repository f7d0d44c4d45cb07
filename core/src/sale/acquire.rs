//! Who gets a slot (R1, R2, R3, R5, R6, R9). Next: apply.rs.

use super::log::Log;
use super::state::{PlaceState, Sale};
use crate::event::{Change, Grant, SlotAcquired, SlotQueued};
use crate::ids::{TraceId, UserId};
use crate::units::{ArrivalNumber, UnixMillis};
use crate::wire::AcquireReply;

/// A buyer's request for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireAsk {
    /// Who asks.
    pub user: UserId,
    /// Whether to join the waitlist when no unit is free (R6).
    pub wait: bool,
    /// Which of the user's slots is meant, from 1 (R9).
    pub nth: u32,
    /// When the request reached the edge, by its clock.
    pub arrived: Option<UnixMillis>,
    /// The request's trace.
    pub trace: Option<TraceId>,
    /// Whether the sinks are too far behind for new grants (DESIGN §7).
    pub backlog: bool,
}

impl Sale {
    /// Decides a request and answers it. The request is granted, queued, answered with what its user has
    /// already, or refused; a refusal changes nothing.
    pub fn acquire(&mut self, ask: &AcquireAsk, now: UnixMillis, log: &mut Log) -> AcquireReply {
        let now = now.max(self.last_at);
        if self.next_due().is_some_and(|due| due <= now) {
            let own: Vec<_> = self.places_of(&ask.user).map(|(arrival, _)| arrival).collect();
            self.advance_for(own, now, log);
        }
        match self.decide_acquire(ask, now) {
            Ok((arrival, change)) => {
                self.commit(change, now, ask.trace.clone(), log);
                self.tell(arrival, now, true)
            }
            Err(reply) => reply,
        }
    }

    /// The checks, in the order in which they are made.
    fn decide_acquire(
        &self,
        ask: &AcquireAsk,
        now: UnixMillis,
    ) -> Result<(ArrivalNumber, Change), AcquireReply> {
        if self.deleted {
            return Err(AcquireReply::NoSale);
        }
        let held = self.already(ask, now)?;
        if ask.nth > self.terms.limit || held >= self.terms.limit {
            return Err(AcquireReply::Limit);
        }
        if self.closed {
            return Err(AcquireReply::Closed);
        }
        if now < self.terms.sale_date {
            return Err(AcquireReply::NotOpen { opens: self.terms.sale_date });
        }
        if self.paused {
            return Err(AcquireReply::Paused);
        }
        let free = self.stock() > 0 && self.index.waiting.is_empty();
        let waiting = self.waiting();
        if !free && !ask.wait {
            return Err(AcquireReply::SoldOut);
        }
        if !free && waiting >= self.terms.waitlist {
            return Err(AcquireReply::WaitlistFull);
        }
        if ask.backlog {
            return Err(AcquireReply::Backlog);
        }
        let arrival =
            self.arrivals().checked_add(1).map(ArrivalNumber).ok_or(AcquireReply::Full)?;
        let (user, arrived) = (ask.user.clone(), ask.arrived);
        let change = if free {
            let deadline = now.plus(self.terms.ttl);
            let how = Grant::Direct;
            SlotAcquired { arrival, user, deadline, arrived, how, nth: ask.nth }.into()
        } else {
            let position = waiting.saturating_add(1);
            SlotQueued { arrival, user, arrived, position, nth: ask.nth }.into()
        };
        Ok((arrival, change))
    }

    /// What the user has already: the slot that was asked for under this number (R9), or a place on the
    /// waitlist (R6). Otherwise how many slots the user holds.
    fn already(&self, ask: &AcquireAsk, now: UnixMillis) -> Result<u32, AcquireReply> {
        let mut held: u32 = 0;
        let (mut same, mut waiting) = (None, None);
        for (arrival, place) in self.places_of(&ask.user) {
            match self.seen(arrival, place, now).state {
                PlaceState::Active | PlaceState::Completed => {
                    held = held.saturating_add(1);
                    if place.nth == ask.nth {
                        same = Some(arrival);
                    }
                }
                PlaceState::Waiting => waiting = Some(arrival),
                PlaceState::Left | PlaceState::Expired(_) => {}
            }
        }
        match same.or(waiting) {
            Some(arrival) => Err(self.tell(arrival, now, false)),
            None => Ok(held),
        }
    }

    fn tell(&self, arrival: ArrivalNumber, now: UnixMillis, new: bool) -> AcquireReply {
        let Some(place) = self.place(arrival) else { return AcquireReply::NoSale };
        if place.state == PlaceState::Waiting {
            let position = self.position(arrival);
            return AcquireReply::Waiting { position, slot: self.product.slot(arrival) };
        }
        let held = self.held(arrival, place, now);
        if new { AcquireReply::Acquired(held) } else { AcquireReply::Held(held) }
    }

    /// A place's position on the waitlist, from 1.
    pub(super) fn position(&self, arrival: ArrivalNumber) -> u32 {
        let waiting = &self.index.waiting;
        let position = if waiting.last() == Some(&arrival) {
            waiting.len()
        } else {
            waiting.range(..=arrival).count()
        };
        u32::try_from(position).unwrap_or(u32::MAX)
    }
}
