//! The recount: R1 to R3 from the places themselves, not from the counters. Next: wire/views.rs.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{PaymentState, PlaceState, Sale};
use crate::units::{ArrivalNumber, UnixMillis};
use crate::wire::AuditView;

#[derive(Default)]
struct Recount {
    active: u32,
    completed: u32,
    expired: u32,
    waiting: BTreeSet<ArrivalNumber>,
    due: BTreeSet<(UnixMillis, ArrivalNumber)>,
}

impl Sale {
    /// Counts everything again and compares it with the counters and the rules. O(places).
    #[must_use]
    pub fn audit(&self) -> AuditView {
        let mut violations = Vec::new();
        let recount = self.recount(&mut violations);
        let held = u64::from(recount.active).saturating_add(u64::from(recount.completed));
        let stock = u64::from(self.terms.total).checked_sub(held);
        if stock.is_none() {
            violations.push(format!(
                "R1: {} active and {} completed of {} units",
                recount.active, recount.completed, self.terms.total
            ));
        }
        for (what, counted, kept) in [
            ("active", recount.active, self.index.active),
            ("completed", recount.completed, self.index.completed),
            ("expired", recount.expired, self.index.expired),
        ] {
            if counted != kept {
                violations.push(format!("R1: {counted} {what} counted, {kept} kept"));
            }
        }
        if recount.waiting != self.index.waiting {
            violations.push("R6: the waitlist is not the places that wait".to_owned());
        }
        if recount.due != self.index.due {
            violations.push("R4: the deadlines are not those of the active slots".to_owned());
        }
        let paying = self.count_payments(|state| state == PaymentState::Pending);
        if paying != self.index.paying {
            violations.push(format!("R7: {paying} payments pending, {} kept", self.index.paying));
        }
        AuditView {
            id: self.product,
            total: self.terms.total,
            stock: stock.and_then(|stock| u32::try_from(stock).ok()).unwrap_or(0),
            active: recount.active,
            completed: recount.completed,
            expired: recount.expired,
            waiting: u32::try_from(recount.waiting.len()).unwrap_or(u32::MAX),
            arrivals: self.arrivals(),
            paying,
            refunds: self.index.refunds,
            events: self.last_number,
            head: self.head,
            digest: self.digest().to_hex().to_string(),
            violations,
        }
    }

    fn recount(&self, violations: &mut Vec<String>) -> Recount {
        let mut recount = Recount::default();
        let mut holders: BTreeMap<&str, u32> = BTreeMap::new();
        let mut last_direct = UnixMillis(0);
        for (arrival, place) in (1..).map(ArrivalNumber).zip(&self.places) {
            if place.created < last_direct {
                violations.push(format!("R2: arrival {arrival} came before the one before it"));
            }
            last_direct = place.created;
            match place.state {
                PlaceState::Waiting => {
                    recount.waiting.insert(arrival);
                }
                PlaceState::Left => {}
                PlaceState::Active => {
                    recount.active = recount.active.saturating_add(1);
                    recount.due.insert((place.deadline, arrival));
                }
                PlaceState::Completed => recount.completed = recount.completed.saturating_add(1),
                PlaceState::Expired(_) => recount.expired = recount.expired.saturating_add(1),
            }
            if matches!(place.state, PlaceState::Active | PlaceState::Completed) {
                let slots = holders.entry(place.user.as_str()).or_default();
                *slots = slots.saturating_add(1);
            }
        }
        for (user, slots) in holders.into_iter().filter(|(_, n)| *n > self.terms.limit) {
            violations.push(format!("R3: {user} has {slots} slots, limit {}", self.terms.limit));
        }
        recount
    }
}
