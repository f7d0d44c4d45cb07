//! The crowd: open-loop load, each buyer with its own token. A request is due at its moment whether or not
//! the ones before it were answered, and its latency counts from that moment, so a slow server can't hide
//! behind a slow client (coordinated omission). Next: ledger.rs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use slot_core::ids::{ProductId, SlotId, UserId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Answer, Shop};
use super::ledger::{Ledger, Told};

/// The crowd at one sale.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    pub(super) product: ProductId,
    /// Before each buyer's number in its user id.
    pub(super) prefix: &'static str,
    pub(super) buyers: u32,
    /// Over which time they come.
    pub(super) over: Duration,
    /// How many of a hundred ask a second time.
    pub(super) twice_percent: u32,
    /// How many of a hundred ask to wait when sold out.
    pub(super) wait_percent: u32,
    /// How many of a hundred holders pay.
    pub(super) pay_percent: u32,
    pub(super) price: u32,
    /// How long who waits looks for a slot.
    pub(super) patience: Duration,
}

/// What one buyer will do; drawn before the load starts, the same for the same seed.
struct Buyer {
    user: UserId,
    token: String,
    waits: bool,
    pays: bool,
    method: &'static str,
    /// When each of its requests is due, from the start.
    asks: Vec<Duration>,
    /// How long it thinks before it pays.
    thinks: Duration,
}

fn draw(shop: &Shop, crowd: &Crowd, seed: u64) -> Result<Vec<Buyer>> {
    let mut random = StdRng::seed_from_u64(seed);
    let over = crowd.over.as_micros().try_into().unwrap_or(u64::MAX);
    (1..=crowd.buyers)
        .map(|number| {
            let user = UserId::parse(&format!("{}-{number:05}", crowd.prefix))?;
            let percent = |random: &mut StdRng, part| random.random_range(0..100) < part;
            let first = Duration::from_micros(random.random_range(0..over.max(1)));
            let mut asks = vec![first];
            if percent(&mut random, crowd.twice_percent) {
                asks.push(first + Duration::from_millis(random.random_range(0..500)));
            }
            let methods = ["CARD", "BANK_TRANSFER", "WALLET"];
            Ok(Buyer {
                token: shop.token(user.as_str(), "buyer")?,
                user,
                waits: percent(&mut random, crowd.wait_percent),
                pays: percent(&mut random, crowd.pay_percent),
                method: methods.get(random.random_range(0..3)).copied().unwrap_or("CARD"),
                asks,
                thinks: Duration::from_millis(random.random_range(0..1500)),
            })
        })
        .collect()
}

/// Shared by every buyer's task.
struct Fair {
    shop: Shop,
    crowd: Crowd,
    ledger: Arc<Mutex<Ledger>>,
    progress: ProgressBar,
}

impl Fair {
    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        change(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Sends a crowd and comes back when its last buyer is done.
pub(super) async fn send(
    shop: &Shop,
    crowd: Crowd,
    ledger: &Arc<Mutex<Ledger>>,
    progress: &ProgressBar,
    seed: u64,
) -> Result<()> {
    let buyers = draw(shop, &crowd, seed)?;
    progress.inc_length(buyers.iter().map(|buyer| buyer.asks.len() as u64).sum());
    let (shop, ledger, progress) = (shop.clone(), Arc::clone(ledger), progress.clone());
    let fair = Arc::new(Fair { shop, crowd, ledger, progress });
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for buyer in buyers {
        let buyer = Arc::new(buyer);
        for ask in buyer.asks.clone() {
            let (fair, buyer) = (Arc::clone(&fair), Arc::clone(&buyer));
            tasks.spawn(async move { visit(&fair, &buyer, start + ask).await });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    Ok(())
}

/// One request of one buyer, and what follows from its answer.
async fn visit(fair: &Fair, buyer: &Buyer, due: Instant) {
    sleep_until(due).await;
    let body = json!({ "productId": fair.crowd.product.to_string(), "waitlist": buyer.waits });
    let answer = fair.shop.post(&buyer.token, "/slots/acquire", &body).await;
    let took = due.elapsed();
    fair.progress.inc(1);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            fair.note(|ledger| {
                ledger.tell(fair.crowd.product, Told::Wrong, took);
                ledger.unsure.insert(buyer.user.clone());
                ledger.surprise(format!("acquire: {error:#}"));
            });
            return;
        }
    };
    let (told, slot) = read(&answer);
    fair.note(|ledger| {
        ledger.tell(fair.crowd.product, told, took);
        match (told, slot) {
            (Told::Granted, Some(slot)) => {
                ledger.granted.entry(slot).or_default().push(buyer.user.clone());
            }
            (Told::Held, Some(slot)) => ledger.held.push((slot, buyer.user.clone())),
            (Told::Granted | Told::Held | Told::Wrong, _) => {
                ledger.surprise(format!("acquire: {} {}", answer.status, answer.body));
            }
            (Told::Busy, _) => {
                ledger.unsure.insert(buyer.user.clone());
            }
            (Told::Waiting | Told::SoldOut, _) => {}
        }
    });
    match (told, slot) {
        (Told::Granted, Some(slot)) if buyer.pays => pay(fair, buyer, slot).await,
        (Told::Waiting, _) => wait(fair, buyer).await,
        _ => {}
    }
}

fn read(answer: &Answer) -> (Told, Option<SlotId>) {
    let parse = |id: Option<&str>| id.and_then(|id| SlotId::parse(id).ok());
    match (answer.status, answer.problem()) {
        (201, _) => (Told::Granted, parse(answer.text("id"))),
        (202, _) => (Told::Waiting, None),
        (409, "sold-out") => (Told::SoldOut, None),
        (409, "duplicate-slot") => {
            let slot = answer.body.get("slot").and_then(|slot| slot.get("id"));
            (Told::Held, parse(slot.and_then(serde_json::Value::as_str)))
        }
        (503, _) => (Told::Busy, None),
        _ => (Told::Wrong, None),
    }
}

async fn pay(fair: &Fair, buyer: &Buyer, slot: SlotId) {
    tokio::time::sleep(buyer.thinks).await;
    let body = json!({
        "purchaseSlotId": slot.to_string(),
        "idempotencyKey": format!("pay-{}", buyer.user),
        "amount": fair.crowd.price,
        "currency": "KRW",
        "paymentMethod": buyer.method,
    });
    let asked = Instant::now();
    match fair.shop.post(&buyer.token, "/payments", &body).await {
        Ok(answer) if answer.status == 201 => fair.note(|ledger| ledger.paid(asked.elapsed())),
        // Who thought too long has lost the slot; that is the rule, not an error.
        Ok(answer) if answer.problem() == "slot-expired" => {}
        Ok(answer) => fair.note(|ledger| {
            ledger.surprise(format!("payment: {} {}", answer.status, answer.body));
        }),
        Err(error) => fair.note(|ledger| ledger.surprise(format!("payment: {error:#}"))),
    }
}

/// Looks for a slot every now and then, as a buyer's page would.
async fn wait(fair: &Fair, buyer: &Buyer) {
    let until = Instant::now() + fair.crowd.patience;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        match fair.shop.my_slots(&buyer.token).await {
            Ok(slots) => {
                if let Some(slot) = slots.iter().find(|slot| slot.status != "WAITING") {
                    let id = SlotId::parse(&slot.id).ok().filter(|_| slot.status == "ACTIVE");
                    if let Some(id) = id.filter(|_| buyer.pays) {
                        pay(fair, buyer, id).await;
                    }
                    return;
                }
            }
            Err(error) => fair.note(|ledger| ledger.surprise(format!("my-slots: {error:#}"))),
        }
    }
}
