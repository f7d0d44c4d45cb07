//! The audit from the outside: HTTP answers, Redis, Postgres and Kafka must tell one story, and the story must
//! keep the rules. Everything is read again from the parts; nothing is taken from the load's own counters but
//! what buyers were told. Next: report.rs.

use std::collections::BTreeMap;

use slot_core::chain::ChainHash;
use slot_core::event::{Change, Event, Grant};
use slot_core::ids::{ProductId, SlotId, UserId};
use slot_core::sale::{Log, Sale};
use slot_core::wire::{AuditView, SaleView};

use super::ledger::Ledger;
use super::witness::{KafkaSale, Row};

/// What the parts say about one sale.
pub(super) struct Testimony {
    pub(super) product: ProductId,
    pub(super) sale: SaleView,
    pub(super) live: AuditView,
    pub(super) log: Vec<Row>,
    pub(super) states: BTreeMap<String, u64>,
    pub(super) kafka: KafkaSale,
}

/// What the audit of one sale found.
#[derive(Debug, Default)]
pub(super) struct Finding {
    pub(super) granted: u64,
    pub(super) promoted: u64,
    pub(super) completed: u64,
    pub(super) expired: u64,
    pub(super) declined: u64,
    pub(super) events: u64,
    /// The largest time by which a later arrival number reached the edge before an earlier one, in ms (R2).
    pub(super) inversion_ms: u64,
    pub(super) violations: Vec<String>,
}

/// What the events say happened.
#[derive(Default)]
struct Story {
    direct: BTreeMap<SlotId, UserId>,
    acquired: Vec<String>,
    expired: Vec<String>,
    warned: Vec<String>,
    completed: Vec<String>,
    declined: u64,
    promoted: u64,
    arrived: Vec<u64>,
    last_direct: u32,
}

pub(super) fn audit(said: &Testimony, ledger: &Ledger) -> Finding {
    let mut finding = Finding { events: said.live.events.0, ..Finding::default() };
    let mut complain =
        |what: String| finding.violations.push(format!("{}: {what}", said.sale.name));
    let story = read_story(said, &mut complain);
    fold(said, &mut complain);
    compare_sinks(said, &story, &mut complain);
    compare_answers(said, ledger, &story, &mut complain);
    for violation in &said.live.violations {
        complain(format!("SLOT.AUDIT: {violation}"));
    }
    let live = &said.live;
    if live.stock + live.active + live.completed != live.total {
        complain(format!(
            "R1: {} + {} + {} is not {}",
            live.stock, live.active, live.completed, live.total
        ));
    }
    if u64::from(live.active + live.completed + live.expired) != story.acquired.len() as u64 {
        complain("R5: a slot was granted that neither is held nor came back".to_owned());
    }
    finding.granted = story.acquired.len() as u64;
    finding.promoted = story.promoted;
    finding.completed = story.completed.len() as u64;
    finding.expired = story.expired.len() as u64;
    finding.declined = story.declined;
    finding.inversion_ms = inversion(&story.arrived);
    finding
}

fn read_story(said: &Testimony, complain: &mut impl FnMut(String)) -> Story {
    let mut story = Story::default();
    for (number, line, _) in &said.log {
        match Event::from_line(line) {
            Ok(event) => tell(&mut story, said.product, event.change, complain),
            Err(error) => complain(format!("R13: event {number} in Postgres: {error}")),
        }
    }
    story
}

fn tell(story: &mut Story, product: ProductId, change: Change, complain: &mut impl FnMut(String)) {
    match change {
        Change::SlotAcquired(event) => {
            let slot = product.slot(event.arrival);
            story.acquired.push(slot.to_string());
            if event.how == Grant::Promoted {
                story.promoted += 1;
                return;
            }
            if event.arrival.0 <= story.last_direct {
                complain(format!(
                    "R2: arrival {} was granted after {}",
                    event.arrival, story.last_direct
                ));
            }
            story.last_direct = event.arrival.0;
            story.arrived.extend(event.arrived.map(|at| at.0));
            story.direct.insert(slot, event.user);
        }
        Change::SlotExpired(event) => story.expired.push(product.slot(event.arrival).to_string()),
        Change::SlotExpiringSoon(event) => {
            story.warned.push(product.slot(event.arrival).to_string());
        }
        Change::PaymentCompleted(event) => {
            let payment = product.slot(event.arrival).payment(event.attempt);
            story.completed.push(payment.to_string());
        }
        Change::PaymentFailed(_) => story.declined += 1,
        _ => {}
    }
}

/// R13: the chain holds from the product's id on, and the fold is the live state to the bit.
fn fold(said: &Testimony, complain: &mut impl FnMut(String)) {
    let mut hash = ChainHash::origin(&said.product);
    let mut sale: Option<Sale> = None;
    for (expected, (number, line, stored)) in (1..).zip(&said.log) {
        hash = hash.next(line.as_bytes());
        if *number != expected || hash.to_string() != *stored {
            return complain(format!("R13: the chain breaks at event {number} in Postgres"));
        }
        let folded = match &mut sale {
            None => Sale::from_first_line(said.product, line, &mut Log::default())
                .map(|first| sale = Some(first)),
            Some(sale) => sale.replay(line, &mut Log::default()),
        };
        if let Err(error) = folded {
            return complain(format!("R13: event {number} does not fold: {error}"));
        }
    }
    let digest = sale.map(|sale| sale.digest().to_hex().to_string());
    if digest.as_deref() != Some(said.live.digest.as_str()) {
        complain(format!(
            "R13: the fold of Postgres's log is {digest:?}, Redis has {}",
            said.live.digest
        ));
    }
}

fn compare_sinks(said: &Testimony, story: &Story, complain: &mut impl FnMut(String)) {
    if said.log.len() as u64 != said.live.events.0 {
        complain(format!("Postgres has {} events, Redis {}", said.log.len(), said.live.events));
    }
    if said.kafka.audit != said.log {
        let (kafka, log) = (said.kafka.audit.len(), said.log.len());
        complain(format!("Kafka's audit topic ({kafka}) and Postgres's log ({log}) differ"));
    }
    for (topic, told) in [
        ("product.slot-acquired", &story.acquired),
        ("product.slot-expired", &story.expired),
        ("product.slot-expiring-soon", &story.warned),
        ("product.payment-completed", &story.completed),
    ] {
        let messages = said.kafka.domain.get(topic).map_or(&[][..], Vec::as_slice);
        if messages != told.as_slice() {
            complain(format!(
                "{topic} has {} messages, the log {} such events",
                messages.len(),
                told.len()
            ));
        }
    }
    let live = &said.live;
    for (status, expected) in
        [("ACTIVE", live.active), ("COMPLETED", live.completed), ("EXPIRED", live.expired)]
    {
        let rows = said.states.get(status).copied().unwrap_or(0);
        if rows != u64::from(expected) {
            complain(format!("Postgres has {rows} {status} slots, Redis {expected}"));
        }
    }
}

/// What buyers were told is what happened: each grant to its buyer, once.
fn compare_answers(
    said: &Testimony,
    ledger: &Ledger,
    story: &Story,
    complain: &mut impl FnMut(String),
) {
    let told = ledger.granted.iter().filter(|(slot, _)| slot.product == said.product);
    for (slot, users) in told {
        match (users.as_slice(), story.direct.get(slot)) {
            ([user], Some(holder)) if user == holder => {}
            (users, holder) => {
                complain(format!("slot {slot}: told to {users:?}, the log says {holder:?}"));
            }
        }
    }
    // Who was told to ask again may have been granted one all the same; the repeat would have told.
    let untold = story.direct.iter().filter(|(slot, holder)| {
        let held = ledger.held.iter().any(|(held, user)| held == *slot && user == *holder);
        !ledger.granted.contains_key(slot) && !held && !ledger.unsure.contains(*holder)
    });
    for (slot, holder) in untold {
        complain(format!("slot {slot} was granted to {holder}, who was not told"));
    }
    for (slot, user) in ledger.held.iter().filter(|(slot, _)| slot.product == said.product) {
        if story.direct.get(slot).is_some_and(|holder| holder != user) {
            complain(format!("R9: {user} was told to hold {slot}, which is another's"));
        }
    }
}

fn inversion(arrived: &[u64]) -> u64 {
    let mut latest = 0;
    let mut largest = 0;
    for &at in arrived {
        largest = u64::max(largest, u64::saturating_sub(latest, at));
        latest = latest.max(at);
    }
    largest
}

#[cfg(test)]
mod tests {
    #[test]
    fn r2_the_largest_inversion_is_found() {
        assert_eq!(super::inversion(&[1, 5, 3, 9, 2, 10]), 7);
        assert_eq!(super::inversion(&[1, 2, 2, 3]), 0);
        assert_eq!(super::inversion(&[]), 0);
    }
}
