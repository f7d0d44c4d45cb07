//! A buyer starts to pay (R7, R9). The charge itself is asked for by the persister. Next: settle.rs.

use super::log::Log;
use super::state::{PaymentState, PlaceState, Sale};
use crate::event::PaymentStarted;
use crate::ids::{SlotId, TraceId, UserId};
use crate::units::{AttemptNumber, Invalid, PaymentMethod, Price, UnixMillis};
use crate::wire::{PayRefusal, PayReply};

/// A buyer's request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayAsk {
    /// Which slot.
    pub slot: SlotId,
    /// Who pays; only the slot's holder may.
    pub user: UserId,
    /// The buyer's idempotency key (R9).
    pub key: Box<str>,
    /// How much.
    pub price: Price,
    /// How.
    pub method: PaymentMethod,
    /// The request's trace.
    pub trace: Option<TraceId>,
}

impl PayAsk {
    /// Looks at what is not right by type alone.
    ///
    /// # Errors
    /// [`Invalid`] where the key is not 1 to 255 bytes or the amount is 0.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(1..=255).contains(&self.key.len()) {
            return Err(Invalid("the idempotency key must be 1 to 255 bytes"));
        }
        if self.price.amount.0 == 0 || i64::try_from(self.price.amount.0).is_err() {
            return Err(Invalid(
                "the amount must be between 1 and 9223372036854775807 minor units",
            ));
        }
        Ok(())
    }
}

impl Sale {
    /// Starts a payment, or answers with the one that this key has started before (R9).
    pub fn pay(&mut self, ask: &PayAsk, now: UnixMillis, log: &mut Log) -> PayReply {
        let now = now.max(self.last_at);
        self.advance_for([ask.slot.arrival], now, log);
        match self.decide_pay(ask, now) {
            Ok(Decided::Before(attempt)) => self.tell_payment(ask.slot.arrival, attempt, now),
            Ok(Decided::New(started)) => {
                let attempt = started.attempt;
                self.commit(started, now, ask.trace.clone(), log);
                self.tell_payment(ask.slot.arrival, attempt, now)
            }
            Err(refusal) => PayReply::Refused(refusal),
        }
    }

    /// The checks, in the order of [`PayRefusal`].
    fn decide_pay(&self, ask: &PayAsk, now: UnixMillis) -> Result<Decided, PayRefusal> {
        let arrival = ask.slot.arrival;
        if self.deleted {
            return Err(PayRefusal::NoSale);
        }
        let place = self
            .place(arrival)
            .filter(|_| ask.slot.product == self.product)
            .filter(|place| !matches!(place.state, PlaceState::Waiting | PlaceState::Left))
            .ok_or(PayRefusal::NoSlot)?;
        if place.user != ask.user {
            return Err(PayRefusal::NotHolder);
        }
        let payments = self.payments.get(&arrival).map_or(&[][..], Vec::as_slice);
        for (attempt, payment) in (1..=u8::MAX).map(AttemptNumber).zip(payments) {
            if payment.key == ask.key {
                let same = payment.price == ask.price && payment.method == ask.method;
                return if same {
                    Ok(Decided::Before(attempt))
                } else {
                    Err(PayRefusal::IdempotencyMismatch)
                };
            }
        }
        match place.state {
            PlaceState::Completed => return Err(PayRefusal::SlotCompleted),
            PlaceState::Active => {}
            PlaceState::Expired(_) | PlaceState::Waiting | PlaceState::Left => {
                return Err(PayRefusal::SlotExpired);
            }
        }
        if payments.last().is_some_and(|last| last.state == PaymentState::Pending) {
            return Err(PayRefusal::PaymentInProgress);
        }
        let attempt = u8::try_from(payments.len())
            .ok()
            .and_then(|n| n.checked_add(1))
            .ok_or(PayRefusal::TooManyPayments)?;
        if self.terms.price.is_some_and(|price| price != ask.price) {
            return Err(PayRefusal::AmountMismatch);
        }
        let until = now.plus(self.terms.payment_window).min(self.latest_deadline(place));
        Ok(Decided::New(PaymentStarted {
            arrival,
            attempt: AttemptNumber(attempt),
            user: ask.user.clone(),
            key: ask.key.clone(),
            price: ask.price,
            method: ask.method,
            remaining: place.deadline.since(now),
            until,
        }))
    }
}

enum Decided {
    New(PaymentStarted),
    Before(AttemptNumber),
}
