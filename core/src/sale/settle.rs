//! The gateway's word on a charge: money came (R8), or it did not. Next: apply.rs.

use super::log::Log;
use super::state::{PaymentState, PlaceState, Sale, UnknownCharge};
use crate::event::{
    Change, Completion, FailureCause, PaymentCompleted, PaymentFailed, RefundDue, RefundReason,
};
use crate::ids::{ChargeId, TraceId, UserId};
use crate::units::{ArrivalNumber, AttemptNumber, UnixMillis};
use crate::wire::{PayRefusal, PayReply};

impl Sale {
    /// The gateway has the money of this charge: completes its slot, or says that it has to go back. Told
    /// twice, it changes nothing.
    pub fn consume(
        &mut self,
        charge: &ChargeId,
        reference: &str,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> PayReply {
        let now = now.max(self.last_at);
        let (arrival, attempt) = (charge.payment.slot.arrival, charge.payment.attempt);
        self.advance_for([arrival], now, log);
        let Some((state, user)) = self.charged(charge) else {
            let (attempt, seal) = (attempt, charge.seal);
            if !self.unknown_charges.contains(&UnknownCharge { arrival, attempt, seal }) {
                let reason = RefundReason::UnknownCharge;
                let reference = reference.into();
                let (user, price) = (None, None);
                let due = RefundDue { arrival, attempt, seal, user, reference, price, reason };
                self.commit(due, now, trace.cloned(), log);
            }
            return PayReply::UnknownCharge;
        };
        let outcome = match state {
            PaymentState::Success | PaymentState::RefundDue(_) => None,
            PaymentState::Pending => Some(Ok(Completion::OnTime)),
            PaymentState::Failed(_) => Some(self.late(arrival, &user)),
        };
        if let Some((outcome, payment)) = outcome.zip(self.payment(arrival, attempt)) {
            let (price, method, seal) = (payment.price, payment.method, payment.seal);
            let reference = reference.into();
            let change: Change = match outcome {
                Ok(how) => {
                    PaymentCompleted { arrival, attempt, user, reference, price, method, how }
                        .into()
                }
                Err(reason) => {
                    let (user, price) = (Some(user), Some(price));
                    RefundDue { arrival, attempt, seal, user, reference, price, reason }.into()
                }
            };
            self.commit(change, now, trace.cloned(), log);
        }
        self.tell_payment(arrival, attempt, now)
    }

    /// What late money can still do (R8).
    fn late(&self, arrival: ArrivalNumber, user: &UserId) -> Result<Completion, RefundReason> {
        match self.place(arrival).map(|place| place.state) {
            Some(PlaceState::Active) if self.pending(arrival).is_some() => {
                Err(RefundReason::PaymentPending)
            }
            Some(PlaceState::Active) => Ok(Completion::Late),
            Some(PlaceState::Expired(_)) => {
                let held = self
                    .places_of(user)
                    .filter(|(_, p)| matches!(p.state, PlaceState::Active | PlaceState::Completed))
                    .count();
                if self.closed {
                    Err(RefundReason::SaleClosed)
                } else if !self.index.waiting.is_empty() {
                    Err(RefundReason::SomebodyWaits)
                } else if self.stock() == 0 {
                    Err(RefundReason::SoldOut)
                } else if u32::try_from(held).is_ok_and(|held| held < self.terms.limit) {
                    Ok(Completion::Revived)
                } else {
                    Err(RefundReason::LimitReached)
                }
            }
            Some(PlaceState::Completed | PlaceState::Waiting | PlaceState::Left) | None => {
                Err(RefundReason::SlotCompleted)
            }
        }
    }

    /// The gateway has refused this charge. Told twice, or after the money came, it changes nothing.
    pub fn decline(
        &mut self,
        charge: &ChargeId,
        reason: &str,
        trace: Option<&TraceId>,
        now: UnixMillis,
        log: &mut Log,
    ) -> PayReply {
        let now = now.max(self.last_at);
        let (arrival, attempt) = (charge.payment.slot.arrival, charge.payment.attempt);
        self.advance_for([arrival], now, log);
        let Some((state, user)) = self.charged(charge) else {
            return PayReply::Refused(PayRefusal::NoPayment);
        };
        if let (PaymentState::Pending, Some(place), Some(payment)) =
            (state, self.place(arrival), self.payment(arrival, attempt))
        {
            let deadline = self.deadline_after_failure(place, payment, now);
            let (cause, reason) = (FailureCause::Declined, reason.into());
            let failed = PaymentFailed { arrival, attempt, user, cause, reason, deadline };
            self.commit(failed, now, trace.cloned(), log);
        }
        self.tell_payment(arrival, attempt, now)
    }

    /// The payment of a charge, if it is this history's: same payment id and same seal.
    fn charged(&self, charge: &ChargeId) -> Option<(PaymentState, UserId)> {
        let arrival = charge.payment.slot.arrival;
        let payment = self
            .payment(arrival, charge.payment.attempt)
            .filter(|payment| payment.seal == charge.seal)
            .filter(|_| charge.payment.slot.product == self.product)?;
        Some((payment.state, self.place(arrival)?.user.clone()))
    }

    pub(super) fn tell_payment(
        &self,
        arrival: ArrivalNumber,
        attempt: AttemptNumber,
        now: UnixMillis,
    ) -> PayReply {
        let payment = self.payment_view(arrival, attempt, now);
        match payment.zip(self.slot_view(arrival, now)) {
            Some((payment, slot)) => PayReply::Payment(Box::new(payment), Box::new(slot)),
            None => PayReply::Refused(PayRefusal::NoPayment),
        }
    }
}
