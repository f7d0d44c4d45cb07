//! The fold: one event applied to the state. Primary, replica, AOF, reload and replay all come through here.
//!
//! An event that `decide` produced always applies. One that comes from outside (SLOT.APPLY, a replay) is
//! checked first and refused whole, so no line, however wrong, can leave the state half changed.
//! Next: state.rs holds what is changed here.

use std::fmt;

use super::log::{Entry, Log};
use super::state::{Index, Payment, PaymentState, Place, PlaceState, Sale, Terms, UnknownCharge};
use crate::chain::ChainHash;
use crate::event::{
    Change, Completion, Event, Grant, PaymentCompleted, PaymentFailed, PaymentStarted,
    ProductCreated, RefundDue, SlotAcquired, SlotQueued,
};
use crate::ids::{ChargeSeal, ProductId, TraceId};
use crate::line::LineError;
use crate::units::{ArrivalNumber, AttemptNumber, EventNumber, UnixMillis};

/// Why a line from outside does not continue a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not a line.
    Line(LineError),
    /// It is not the number that comes next.
    Number {
        /// The number that comes next.
        expected: EventNumber,
        /// The line's.
        got: EventNumber,
    },
    /// Its time is before the last event's.
    Time,
    /// The state has no place for it; the word says what is missing.
    State(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Number { expected, got } => {
                write!(f, "event {expected} comes next in this sale, got event {got}")
            }
            Self::Time => f.write_str("the event's time is before the last event's"),
            Self::State(what) => write!(f, "the event does not fit the sale's state: {what}"),
        }
    }
}

impl std::error::Error for Refused {}

impl Sale {
    /// Begins a sale from its first line (number 1, PRODUCT_CREATED).
    ///
    /// # Errors
    /// [`Refused`] where the line is anything else.
    pub fn from_first_line(product: ProductId, line: &str, log: &mut Log) -> Result<Self, Refused> {
        let event = Event::from_line(line).map_err(Refused::Line)?;
        let Change::ProductCreated(created) = &event.change else {
            return Err(Refused::State("the first event must be PRODUCT_CREATED"));
        };
        if event.number != EventNumber(1) {
            return Err(Refused::Number { expected: EventNumber(1), got: event.number });
        }
        if *created.hash != *ChainHash::ALGORITHM {
            return Err(Refused::State("this build knows the hash algorithm BLAKE3-128 only"));
        }
        let hash = ChainHash::origin(&product).next(line.as_bytes());
        log.0.push(Entry { number: event.number, line: line.to_owned(), hash });
        Ok(Self::begin(product, created, event.at, hash))
    }

    pub(super) fn begin(
        product: ProductId,
        created: &ProductCreated,
        at: UnixMillis,
        head: ChainHash,
    ) -> Self {
        Self {
            product,
            terms: Terms {
                name: created.name.clone(),
                description: created.description.clone(),
                total: created.total,
                sale_date: created.sale_date,
                ttl: created.ttl,
                waitlist: created.waitlist,
                limit: created.limit,
                payment_window: created.payment_window,
                expiring_soon: created.expiring_soon,
                price: created.price,
                created: at,
            },
            paused: false,
            closed: false,
            deleted: false,
            places: Vec::new(),
            payments: std::collections::BTreeMap::new(),
            unknown_charges: std::collections::BTreeSet::new(),
            last_number: EventNumber(1),
            last_at: at,
            head,
            index: Index::default(),
        }
    }

    /// Applies a line from outside: the primary's to a replica, the AOF's, the audit log's.
    ///
    /// # Errors
    /// [`Refused`]; the sale is then as it was.
    pub fn replay(&mut self, line: &str, log: &mut Log) -> Result<(), Refused> {
        let event = Event::from_line(line).map_err(Refused::Line)?;
        let hash = self.head.next(line.as_bytes());
        self.apply(&event, hash)?;
        log.0.push(Entry { number: event.number, line: line.to_owned(), hash });
        Ok(())
    }

    /// Gives a decided change its number, time, line and hash, applies it and notes it.
    pub(super) fn commit(
        &mut self,
        change: impl Into<Change>,
        now: UnixMillis,
        trace: Option<TraceId>,
        log: &mut Log,
    ) {
        let at = now.max(self.last_at);
        let event = Event { number: self.last_number.next(), at, trace, change: change.into() };
        let line = event.to_line();
        let hash = self.head.next(line.as_bytes());
        let applied = self.apply(&event, hash);
        debug_assert_eq!(applied, Ok(()), "decide made an event that does not apply: {line}");
        if applied.is_ok() {
            log.0.push(Entry { number: event.number, line, hash });
        }
    }

    fn apply(&mut self, event: &Event, hash: ChainHash) -> Result<(), Refused> {
        let expected = self.last_number.next();
        if event.number != expected {
            return Err(Refused::Number { expected, got: event.number });
        }
        if event.at < self.last_at {
            return Err(Refused::Time);
        }
        self.change(event, hash)?;
        self.last_number = event.number;
        self.last_at = event.at;
        self.head = hash;
        debug_assert!(
            self.index.active.checked_add(self.index.completed) <= Some(self.terms.total)
                && self.index.active.checked_add(self.index.completed).is_some(),
            "R1 is broken by event {}",
            event.number
        );
        Ok(())
    }

    fn change(&mut self, event: &Event, hash: ChainHash) -> Result<(), Refused> {
        match &event.change {
            Change::ProductCreated(_) => Err(Refused::State("the product is created already")),
            Change::ProductChanged(change) => {
                let held = self.index.active.saturating_add(self.index.completed);
                let total = i64::from(self.terms.total).checked_add(change.delta);
                if total != Some(i64::from(change.total)) || change.total < held {
                    return Err(Refused::State("the total does not follow from the delta"));
                }
                self.terms.total = change.total;
                if let Some(name) = &change.name {
                    self.terms.name = name.clone();
                }
                if let Some(description) = &change.description {
                    self.terms.description = description.clone();
                }
                if let Some(sale_date) = change.sale_date {
                    self.terms.sale_date = sale_date;
                }
                Ok(())
            }
            Change::ProductDeleted(_) => {
                if !self.closed {
                    return Err(Refused::State("the sale is not closed"));
                }
                self.deleted = true;
                Ok(())
            }
            Change::SalePaused(_) => {
                self.paused = true;
                Ok(())
            }
            Change::SaleResumed(_) => {
                self.paused = false;
                Ok(())
            }
            Change::SaleClosed(_) => {
                self.end_grants();
                Ok(())
            }
            Change::SaleReconciled(_) => Ok(()),
            Change::SlotQueued(queued) => self.queued(event, queued),
            Change::SlotLeft(left) => self.left(left.arrival),
            Change::SlotAcquired(acquired) => self.acquired(event, acquired),
            Change::SlotExpiringSoon(soon) => self.warned(soon.arrival),
            Change::SlotExpired(expired) => {
                self.active_place(expired.arrival)?;
                if self.pending(expired.arrival).is_some() {
                    return Err(Refused::State("the slot is being paid"));
                }
                self.unschedule(expired.arrival);
                self.index.active = self.index.active.saturating_sub(1);
                self.index.expired = self.index.expired.saturating_add(1);
                self.set_state(expired.arrival, PlaceState::Expired(expired.status));
                Ok(())
            }
            Change::PaymentStarted(started) => self.payment_started(event, started, hash),
            Change::PaymentFailed(failed) => self.payment_failed(event, failed),
            Change::PaymentCompleted(completed) => self.payment_completed(event, completed),
            Change::RefundDue(refund) => self.refund_due(event, refund),
        }
    }

    fn set_state(&mut self, arrival: ArrivalNumber, state: PlaceState) {
        if let Some(place) = self.place_mut(arrival) {
            place.state = state;
        }
    }

    fn active_place(&self, arrival: ArrivalNumber) -> Result<&Place, Refused> {
        self.place(arrival)
            .filter(|place| place.state == PlaceState::Active)
            .ok_or(Refused::State("the slot is not ACTIVE"))
    }

    fn end_grants(&mut self) {
        self.closed = true;
        for arrival in std::mem::take(&mut self.index.waiting) {
            self.set_state(arrival, PlaceState::Left);
        }
    }

    fn is_next(&self, arrival: ArrivalNumber) -> bool {
        arrival.0.checked_sub(1) == Some(self.arrivals())
    }

    fn queued(&mut self, event: &Event, queued: &SlotQueued) -> Result<(), Refused> {
        if !self.is_next(queued.arrival) {
            return Err(Refused::State("the arrival number is not the next one"));
        }
        let place = Place {
            user: queued.user.clone(),
            trace: event.trace.clone(),
            state: PlaceState::Waiting,
            warned: false,
            created: event.at,
            arrived: queued.arrived,
            nth: queued.nth,
            acquired: UnixMillis(0),
            deadline: UnixMillis(0),
            previous: ArrivalNumber(0),
        };
        self.push_place(queued.arrival, place);
        self.index.waiting.insert(queued.arrival);
        Ok(())
    }

    fn left(&mut self, arrival: ArrivalNumber) -> Result<(), Refused> {
        if !self.index.waiting.remove(&arrival) {
            return Err(Refused::State("the place is not on the waitlist"));
        }
        self.set_state(arrival, PlaceState::Left);
        Ok(())
    }

    fn acquired(&mut self, event: &Event, acquired: &SlotAcquired) -> Result<(), Refused> {
        if self.stock() == 0 {
            return Err(Refused::State("no unit is free"));
        }
        match acquired.how {
            Grant::Direct => {
                if !self.is_next(acquired.arrival) {
                    return Err(Refused::State("the arrival number is not the next one"));
                }
                let place = Place {
                    user: acquired.user.clone(),
                    trace: event.trace.clone(),
                    state: PlaceState::Active,
                    warned: false,
                    created: event.at,
                    arrived: acquired.arrived,
                    nth: acquired.nth,
                    acquired: event.at,
                    deadline: acquired.deadline,
                    previous: ArrivalNumber(0),
                };
                self.push_place(acquired.arrival, place);
            }
            Grant::Promoted => {
                if !self.index.waiting.remove(&acquired.arrival) {
                    return Err(Refused::State("the place is not on the waitlist"));
                }
                if let Some(place) = self.place_mut(acquired.arrival) {
                    place.state = PlaceState::Active;
                    place.acquired = event.at;
                    place.deadline = acquired.deadline;
                }
            }
        }
        self.index.active = self.index.active.saturating_add(1);
        self.schedule(acquired.arrival);
        Ok(())
    }

    fn warned(&mut self, arrival: ArrivalNumber) -> Result<(), Refused> {
        self.active_place(arrival)?;
        self.unschedule(arrival);
        if let Some(place) = self.place_mut(arrival) {
            place.warned = true;
        }
        self.schedule(arrival);
        Ok(())
    }

    fn payment_started(
        &mut self,
        event: &Event,
        started: &PaymentStarted,
        hash: ChainHash,
    ) -> Result<(), Refused> {
        self.active_place(started.arrival)?;
        let attempts = self.payments.get(&started.arrival).map_or(0, Vec::len);
        if usize::from(started.attempt.0).checked_sub(1) != Some(attempts) {
            return Err(Refused::State("the attempt number is not the next one"));
        }
        if self.pending(started.arrival).is_some() {
            return Err(Refused::State("another payment is pending"));
        }
        self.unschedule(started.arrival);
        let payment = Payment {
            key: started.key.clone(),
            price: started.price,
            method: started.method,
            seal: ChargeSeal::of(&hash),
            remaining: started.remaining,
            until: started.until,
            started: event.at,
            changed: event.at,
            state: PaymentState::Pending,
            reference: "".into(),
            reason: "".into(),
        };
        self.payments.entry(started.arrival).or_default().push(payment);
        self.index.paying = self.index.paying.saturating_add(1);
        if let Some(place) = self.place_mut(started.arrival) {
            place.deadline = started.until;
        }
        self.schedule(started.arrival);
        Ok(())
    }

    /// Sets what a payment has come to and keeps the counters right.
    fn settle(
        &mut self,
        arrival: ArrivalNumber,
        attempt: AttemptNumber,
        at: UnixMillis,
        state: PaymentState,
        words: (&str, &str),
    ) -> Result<PaymentState, Refused> {
        let payment = self
            .payment_mut(arrival, attempt)
            .ok_or(Refused::State("the sale has no such payment"))?;
        let before = std::mem::replace(&mut payment.state, state);
        payment.changed = at;
        let (reference, reason) = words;
        if !reference.is_empty() {
            payment.reference = reference.into();
        }
        if !reason.is_empty() {
            payment.reason = reason.into();
        }
        if before == PaymentState::Pending {
            self.index.paying = self.index.paying.saturating_sub(1);
        }
        Ok(before)
    }

    fn payment_failed(&mut self, event: &Event, failed: &PaymentFailed) -> Result<(), Refused> {
        self.active_place(failed.arrival)?;
        if self.pending(failed.arrival).map(|(attempt, _)| attempt) != Some(failed.attempt) {
            return Err(Refused::State("the payment is not pending"));
        }
        self.unschedule(failed.arrival);
        let state = PaymentState::Failed(failed.cause);
        self.settle(failed.arrival, failed.attempt, event.at, state, ("", &failed.reason))?;
        if let Some(place) = self.place_mut(failed.arrival) {
            place.deadline = failed.deadline;
        }
        self.schedule(failed.arrival);
        Ok(())
    }

    fn payment_completed(&mut self, event: &Event, done: &PaymentCompleted) -> Result<(), Refused> {
        let state = self.place(done.arrival).map(|place| place.state);
        let before = self.payment(done.arrival, done.attempt).map(|payment| payment.state);
        let fits = match (state, before, done.how) {
            (Some(PlaceState::Active), Some(PaymentState::Pending), Completion::OnTime) => true,
            (Some(PlaceState::Active), Some(PaymentState::Failed(_)), Completion::Late) => {
                self.pending(done.arrival).is_none()
            }
            (Some(PlaceState::Expired(_)), Some(PaymentState::Failed(_)), Completion::Revived) => {
                self.stock() > 0
            }
            _ => false,
        };
        if !fits {
            return Err(Refused::State("the payment can't complete its slot"));
        }
        if done.how == Completion::Revived {
            self.index.expired = self.index.expired.saturating_sub(1);
        } else {
            self.unschedule(done.arrival);
            self.index.active = self.index.active.saturating_sub(1);
        }
        self.index.completed = self.index.completed.saturating_add(1);
        self.set_state(done.arrival, PlaceState::Completed);
        let words = (&*done.reference, "");
        self.settle(done.arrival, done.attempt, event.at, PaymentState::Success, words)?;
        Ok(())
    }

    fn refund_due(&mut self, event: &Event, refund: &RefundDue) -> Result<(), Refused> {
        let known = self
            .payment(refund.arrival, refund.attempt)
            .filter(|payment| payment.seal == refund.seal)
            .map(|payment| payment.state);
        match known {
            Some(PaymentState::Failed(_)) => {
                let state = PaymentState::RefundDue(refund.reason);
                let words = (&*refund.reference, refund.reason.word());
                self.settle(refund.arrival, refund.attempt, event.at, state, words)?;
            }
            Some(PaymentState::Pending | PaymentState::Success | PaymentState::RefundDue(_)) => {
                return Err(Refused::State("only a failed payment's money is refunded"));
            }
            None => {
                let charge = UnknownCharge {
                    arrival: refund.arrival,
                    attempt: refund.attempt,
                    seal: refund.seal,
                };
                if !self.unknown_charges.insert(charge) {
                    return Err(Refused::State("this charge is being refunded already"));
                }
            }
        }
        self.index.refunds = self.index.refunds.saturating_add(1);
        Ok(())
    }
}
