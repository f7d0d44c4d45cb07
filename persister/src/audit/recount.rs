//! What the rows must say, folded from the events by the plainest code there is: neither core's state machine nor the
//! writer's fold (postgres/slots.rs), so that a fault in one of the three shows. It also watches R1 and R2 at every event.

use std::collections::BTreeMap;

use slot_core::event::{Change, Event};
use slot_core::units::{ArrivalNumber, AttemptNumber};

/// What a slot's row must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The holder.
    pub user: String,
    /// The row's status.
    pub status: &'static str,
    /// The row's reclaim status.
    pub reclaim: Option<&'static str>,
}

/// The rows of one sale.
#[derive(Debug, Default)]
pub struct Recount {
    /// By arrival number.
    pub slots: BTreeMap<u32, Slot>,
    /// The status of each payment, by arrival and attempt number.
    pub payments: BTreeMap<(u32, u8), &'static str>,
    /// How many events say that money is to go back.
    pub refunds: usize,
    /// What rule did not hold at which event.
    pub violations: Vec<String>,
    total: u32,
    held: u32,
}

impl Recount {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event) {
        match &event.change {
            Change::ProductCreated(e) => self.total = e.total,
            Change::ProductChanged(e) => self.total = e.total,
            Change::SaleClosed(_) => {
                for slot in self.slots.values_mut().filter(|slot| slot.status == "WAITING") {
                    slot.status = "LEFT";
                }
            }
            Change::SlotQueued(e) => self.set(event, e.arrival, e.user.as_str(), "WAITING"),
            Change::SlotLeft(e) => self.set(event, e.arrival, e.user.as_str(), "LEFT"),
            Change::SlotAcquired(e) => self.set(event, e.arrival, e.user.as_str(), "ACTIVE"),
            Change::SlotExpired(e) => {
                self.set(event, e.arrival, e.user.as_str(), "EXPIRED");
                if let Some(slot) = self.slots.get_mut(&e.arrival.0) {
                    slot.reclaim = Some(e.status.word());
                }
            }
            Change::PaymentStarted(e) => self.pay(e.arrival, e.attempt, "PENDING"),
            Change::PaymentFailed(e) => self.pay(e.arrival, e.attempt, "FAILED"),
            Change::PaymentCompleted(e) => {
                self.set(event, e.arrival, e.user.as_str(), "COMPLETED");
                self.pay(e.arrival, e.attempt, "SUCCESS");
            }
            Change::RefundDue(e) => {
                self.refunds = self.refunds.saturating_add(1);
                if e.user.is_some() {
                    self.pay(e.arrival, e.attempt, "REFUND_DUE");
                }
            }
            _ => {}
        }
        if self.held > self.total {
            self.violations.push(format!(
                "R1: at event {} {} of {} units are held",
                event.number, self.held, self.total
            ));
        }
    }

    fn pay(&mut self, arrival: ArrivalNumber, attempt: AttemptNumber, status: &'static str) {
        self.payments.insert((arrival.0, attempt.0), status);
    }

    fn set(&mut self, event: &Event, arrival: ArrivalNumber, user: &str, status: &'static str) {
        let last = self.slots.last_key_value().map_or(0, |(last, _)| *last);
        let holds = |status| u32::from(matches!(status, "ACTIVE" | "COMPLETED"));
        let slot = Slot { user: user.to_owned(), status, reclaim: None };
        match self.slots.insert(arrival.0, slot) {
            Some(before) => {
                self.held = self.held.saturating_sub(holds(before.status));
                if before.user != user {
                    self.violations.push(format!(
                        "R1: at event {} slot {arrival} went from {} to {user}",
                        event.number, before.user
                    ));
                }
            }
            None if arrival.0 != last.saturating_add(1) => self.violations.push(format!(
                "R2: at event {} arrival number {arrival} follows {last}",
                event.number
            )),
            None => {}
        }
        self.held = self.held.saturating_add(holds(status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recount(lines: &[&str]) -> Recount {
        let mut recount = Recount::default();
        for line in lines {
            recount.take(&Event::from_line(line).unwrap());
        }
        recount
    }

    #[test]
    fn r1_one_unit_too_many_is_seen_at_its_event() {
        let changed = "1 1 PRODUCT_CHANGED 1 - - - 1 1 - -";
        let ana = "1 2 SLOT_ACQUIRED 2 - 1 ana 9 - DIRECT 1";
        let ben = "1 3 SLOT_ACQUIRED 3 - 2 ben 9 - DIRECT 1";
        let gone = "1 3 SLOT_EXPIRED 9 - 1 ana 9 AUTO_EXPIRED -";
        assert_eq!(recount(&[changed, ana, gone, ben]).violations, [""; 0]);
        let over = recount(&[changed, ana, ben]);
        assert_eq!(over.violations, ["R1: at event 3 2 of 1 units are held"]);
        assert_eq!(over.slots[&2].status, "ACTIVE");
    }

    #[test]
    fn r2_a_skipped_arrival_number_and_a_second_holder_are_seen() {
        let changed = "1 1 PRODUCT_CHANGED 1 - - - 5 5 - -";
        let skipped = "1 2 SLOT_ACQUIRED 2 - 2 ana 9 - DIRECT 1";
        assert_eq!(
            recount(&[changed, skipped]).violations,
            ["R2: at event 2 arrival number 2 follows 0"]
        );
        let ana = "1 2 SLOT_ACQUIRED 2 - 1 ana 9 - DIRECT 1";
        let ben = "1 3 SLOT_ACQUIRED 3 - 1 ben 9 - DIRECT 1";
        assert_eq!(
            recount(&[changed, ana, ben]).violations,
            ["R1: at event 3 slot 1 went from ana to ben"]
        );
    }
}
