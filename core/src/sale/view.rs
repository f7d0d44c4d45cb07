//! What reads answer: the state by the clock, so that nobody else computes time (R4). Next: wire/views.rs.

use super::state::{PaymentState, Place, PlaceState, Sale};
use crate::ids::{AnyId, ChargeId, UserId};
use crate::units::{ArrivalNumber, AttemptNumber, Millis, UnixMillis};
use crate::wire::{
    GetReply, Held, PaymentStatus, PaymentView, SaleStatus, SaleView, SlotStatus, SlotView,
    UserView,
};

struct Counts {
    stock: u32,
    active: u32,
    paying: u32,
}

const fn status_of(state: PlaceState) -> SlotStatus {
    match state {
        PlaceState::Waiting => SlotStatus::Waiting,
        PlaceState::Left => SlotStatus::Left,
        PlaceState::Active => SlotStatus::Active,
        PlaceState::Completed => SlotStatus::Completed,
        PlaceState::Expired(_) => SlotStatus::Expired,
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

impl Sale {
    pub(super) fn held(&self, arrival: ArrivalNumber, place: &Place, now: UnixMillis) -> Held {
        let seen = self.seen(arrival, place, now);
        let active = seen.state == PlaceState::Active;
        Held {
            slot: self.product.slot(arrival),
            status: status_of(seen.state),
            acquired: place.acquired,
            deadline: seen.deadline,
            remaining: if active { seen.deadline.since(now) } else { Millis(0) },
            paying: seen.paying,
        }
    }

    /// A slot or a place on the waitlist.
    #[must_use]
    pub fn slot_view(&self, arrival: ArrivalNumber, now: UnixMillis) -> Option<SlotView> {
        let now = now.max(self.last_at);
        let place = self.place(arrival)?;
        let held = self.held(arrival, place, now);
        let reclaim = match self.seen(arrival, place, now).state {
            PlaceState::Expired(status) => Some(status.word().to_owned()),
            PlaceState::Waiting | PlaceState::Left | PlaceState::Active | PlaceState::Completed => {
                None
            }
        };
        let granted = place.acquired != UnixMillis(0);
        Some(SlotView {
            id: held.slot,
            product: self.product,
            user: place.user.clone(),
            status: held.status,
            reclaim,
            acquired: Some(held.acquired).filter(|_| granted),
            deadline: Some(held.deadline).filter(|_| granted),
            remaining: held.remaining,
            paying: held.paying,
            arrived: place.arrived,
            created: place.created,
        })
    }

    /// A payment.
    #[must_use]
    pub fn payment_view(
        &self,
        arrival: ArrivalNumber,
        attempt: AttemptNumber,
        now: UnixMillis,
    ) -> Option<PaymentView> {
        let now = now.max(self.last_at);
        let payment = self.payment(arrival, attempt)?;
        let slot = self.product.slot(arrival);
        let id = slot.payment(attempt);
        let (status, reason) = match self.seen_payment(payment.state, payment.until, now) {
            PaymentState::Pending => (PaymentStatus::Pending, None),
            PaymentState::Success => (PaymentStatus::Success, None),
            PaymentState::Failed(cause) => {
                (PaymentStatus::Failed, text(&payment.reason).or_else(|| text(cause.word())))
            }
            PaymentState::RefundDue(reason) => (PaymentStatus::RefundDue, text(reason.word())),
        };
        let timed_out = status == PaymentStatus::Failed && payment.state == PaymentState::Pending;
        let pending = status == PaymentStatus::Pending;
        Some(PaymentView {
            id,
            slot,
            user: self.place(arrival)?.user.clone(),
            status,
            charge: ChargeId { payment: id, seal: payment.seal },
            amount: payment.price.amount,
            currency: payment.price.currency,
            method: payment.method,
            reference: text(&payment.reference),
            reason,
            created: payment.started,
            updated: if timed_out { payment.until } else { payment.changed },
            until: payment.until,
            remaining: if pending { payment.until.since(now) } else { Millis(0) },
        })
    }

    /// A slot or a payment by its id; nothing where it is another sale's or this one is deleted.
    #[must_use]
    pub fn get(&self, id: AnyId, now: UnixMillis) -> Option<GetReply> {
        if self.deleted || id.product() != self.product {
            return None;
        }
        match id {
            AnyId::Product(_) => None,
            AnyId::Slot(slot) => {
                self.slot_view(slot.arrival, now).map(|slot| GetReply::Slot(Box::new(slot)))
            }
            AnyId::Payment(id) => self
                .payment_view(id.slot.arrival, id.attempt, now)
                .map(|payment| GetReply::Payment(Box::new(payment))),
        }
    }

    /// Everything of one user's in this sale.
    #[must_use]
    pub fn user_view(&self, user: &UserId, now: UnixMillis) -> UserView {
        let mut arrivals: Vec<_> = self.places_of(user).map(|(arrival, _)| arrival).collect();
        arrivals.reverse();
        let waiting = arrivals.iter().copied().find(|a| self.index.waiting.contains(a));
        let position = waiting.map(|arrival| self.position(arrival));
        UserView {
            user: user.clone(),
            slots: arrivals.into_iter().filter_map(|a| self.slot_view(a, now)).collect(),
            position,
            ahead: position.and_then(|position| position.checked_sub(1)),
        }
    }

    /// Units and payments by the clock: slots past their deadline are not held, whether or not a sweep has run.
    fn counts(&self, now: UnixMillis) -> Counts {
        let mut counts =
            Counts { stock: self.stock(), active: self.index.active, paying: self.index.paying };
        for &(_, arrival) in self.index.due.range(..=(now, ArrivalNumber(u32::MAX))) {
            let Some(place) = self.place(arrival) else { continue };
            let seen = self.seen(arrival, place, now);
            if seen.state != PlaceState::Active {
                counts.active = counts.active.saturating_sub(1);
                counts.stock = counts.stock.saturating_add(1);
            }
            if !seen.paying && self.pending(arrival).is_some() {
                counts.paying = counts.paying.saturating_sub(1);
            }
        }
        counts
    }

    /// The sale and its counters.
    #[must_use]
    pub fn view(&self, now: UnixMillis) -> SaleView {
        let now = now.max(self.last_at);
        let terms = &self.terms;
        let Counts { stock, active, paying } = self.counts(now);
        let status = if self.closed {
            SaleStatus::Closed
        } else if self.paused {
            SaleStatus::Paused
        } else if now < terms.sale_date {
            SaleStatus::Upcoming
        } else if stock == 0 || !self.index.waiting.is_empty() {
            SaleStatus::SoldOut
        } else {
            SaleStatus::OnSale
        };
        SaleView {
            id: self.product,
            name: terms.name.clone().into_string(),
            description: terms.description.clone().into_string(),
            status,
            stock,
            total: terms.total,
            active,
            completed: self.index.completed,
            waiting: self.waiting(),
            paying,
            sale_date: terms.sale_date,
            ttl: terms.ttl,
            waitlist: terms.waitlist,
            limit: terms.limit,
            payment_window: terms.payment_window,
            expiring_soon: terms.expiring_soon,
            price: terms.price.map(|price| price.amount),
            currency: terms.price.map(|price| price.currency),
            created: terms.created,
            updated: self.last_at,
            events: self.last_number,
            head: self.head,
            now,
        }
    }
}
