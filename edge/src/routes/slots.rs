//! Slots: asking for one, and one's own.
//!
//! Who gets a slot is the module's word; this file checks the request, hands it on, and tells the answer.
//! Next: batch.rs sends an acquire with its neighbours.

use hyper::StatusCode;
use redis::{Cmd, cmd};
use serde::{Deserialize, Serialize};
use slot_core::ids::{ProductId, SlotId, UserId};
use slot_core::units::UnixMillis;
use slot_core::wire::{AcquireReply, Done, GetReply, Held, SlotStatus, SlotView, UserView};

use crate::auth::Caller;
use crate::batch::Wish;
use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::intake;
use crate::journal;
use crate::router::{Answer, Call, Outcome};
use crate::shapes::Slot;
use crate::shard::Trouble;

/// The most slots that a sale can let one user have.
const MOST_EACH: u32 = 1_000;
const BODY: usize = 4 * 1024;

/// Further fields are left alone, so that a newer buyer's client can talk to an older edge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcquireBody {
    product_id: String,
    /// Whether to join the waitlist if stock is gone; not without.
    waitlist: Option<bool>,
    /// Which of the user's slots is asked for, so that a retry never takes a second (R9); the first without.
    nth: Option<u32>,
}

/// POST /slots/acquire
pub(crate) async fn acquire(door: &Door, call: &mut Call) -> Outcome {
    let caller = door.auth.buyer(&call.head.headers)?;
    intake::must_be_json(&call.head.headers)?;
    let body = intake::bytes(&mut call.body, BODY, door.config.body_timeout).await?;
    let body: AcquireBody = intake::parse(&body)?;
    let (wait, nth) = (body.waitlist.unwrap_or(false), body.nth.unwrap_or(1));
    if !(1..=MOST_EACH).contains(&nth) {
        return Err(Failure::validation(format!("nth must be from 1 to {MOST_EACH}")));
    }
    let product = intake::id("productId", &body.product_id, ProductId::parse)?;
    let (user, trace, arrived) = (caller.user.clone(), call.trace.clone(), call.arrived);
    door.journal.slot_requested(&trace, &user, product, arrived);
    let wish = Wish { product, user, wait, arrived, trace };
    let reply = match nth {
        1 => door.acquires.ask(wish).await?,
        nth => ask_for_nth(door, &wish, nth).await?,
    };
    tell(door, call, &caller.user, product, reply).await
}

/// Rare enough to go alone: SLOT.MACQUIRE has no NTH.
async fn ask_for_nth(door: &Door, wish: &Wish, nth: u32) -> Result<AcquireReply, Trouble> {
    let mut command = cmd("SLOT.ACQUIRE");
    command.arg(wish.product.sale_key()).arg(wish.product.stream_key()).arg(wish.user.as_str());
    if wish.wait {
        command.arg("WAIT");
    }
    command.arg("NTH").arg(nth).arg("ARRIVED").arg(wish.arrived.0);
    command.arg("TRACE").arg(wish.trace.as_str());
    door.shard.write(wish.product, command).await
}

async fn tell(
    door: &Door,
    call: &Call,
    user: &UserId,
    product: ProductId,
    reply: AcquireReply,
) -> Outcome {
    Err(match reply {
        AcquireReply::Acquired(held) => {
            journal::slot_acquired(&call.trace, user, held.slot);
            // The slot is the buyer's whether or not its product's name can be read now.
            let name = door.product_name(product).await.unwrap_or_default();
            let slot = Slot::granted(&held, user, &name);
            let answer = Answer::json(StatusCode::CREATED, &slot)?;
            return Ok(answer.at("slots", &held.slot.to_string()).called("acquired"));
        }
        AcquireReply::Held(held) => {
            Failure::new(Code::DuplicateSlot, "the slot you have comes with this answer")
                .with_slot(held_slot(door, user, &held).await)
        }
        AcquireReply::Waiting { position, slot } => {
            let waiting = Waiting {
                status: "WAITING",
                position,
                slot_id: slot.to_string(),
                product_id: product.to_string(),
            };
            let answer = Answer::json(StatusCode::ACCEPTED, &waiting)?;
            return Ok(answer.at("slots", &waiting.slot_id).called("waiting"));
        }
        AcquireReply::SoldOut => Failure::new(
            Code::SoldOut,
            "no unit is free now; one that is given back or not paid in time can be had by asking again, or by \"waitlist\": true",
        ),
        AcquireReply::Full => Failure::new(
            Code::SoldOut,
            "the sale has no arrival number left; it takes nobody any more",
        ),
        AcquireReply::WaitlistFull => {
            Failure::new(Code::WaitlistFull, "no unit is free and no place on the waitlist")
        }
        AcquireReply::NotOpen { opens } => {
            Failure::new(Code::SaleNotStarted, "the sale opens at its saleDate; see Retry-After")
                .retry_after(seconds_until(opens, call.arrived))
        }
        AcquireReply::Paused => {
            Failure::new(Code::SalePaused, "no slots are given for now; ask again later")
        }
        AcquireReply::Closed => Failure::new(Code::SaleClosed, "the sale is over"),
        AcquireReply::Limit => Failure::new(
            Code::Limit,
            "nth is more than the slots that this sale lets one buyer have",
        ),
        AcquireReply::Backlog => {
            Failure::new(Code::Backlog, "nothing was decided; ask again shortly").retry_after(2)
        }
        AcquireReply::NoSale => no_product(),
    })
}

/// The slot that the caller has already. Only a promoted one was asked for before it was granted, so only the
/// module knows that time; if it can't be asked now, the time of the grant stands in.
async fn held_slot(door: &Door, user: &UserId, held: &Held) -> Slot {
    let name = door.product_name(held.slot.product).await.unwrap_or_default();
    match door.shard.read(get_command(held.slot.product, &held.slot.to_string())).await {
        Ok(Some(GetReply::Slot(slot))) => Slot::of(&slot, &name),
        _ => Slot::granted(held, user, &name),
    }
}

fn seconds_until(opens: UnixMillis, now: UnixMillis) -> u64 {
    opens.since(now).0.div_ceil(1_000).max(1)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    status: &'static str,
    position: u32,
    slot_id: String,
    product_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MySlots {
    slots: Vec<Slot>,
    total_count: usize,
}

/// GET /slots/my-slots?status
pub(crate) async fn mine(door: &Door, call: &Call) -> Outcome {
    let caller = door.auth.caller(&call.head.headers)?;
    let wanted = call.query().word("status")?;
    let wanted = wanted.map(|word| SlotStatus::parse(&word)).transpose()?;
    let mut command = cmd("SLOT.MINE");
    command.arg(caller.user.as_str());
    let views: Vec<UserView> = door.shard.read(command).await?;
    let mut found: Vec<SlotView> = views
        .into_iter()
        .flat_map(|view| view.slots)
        .filter(|slot| wanted.is_none_or(|status| slot.status == status))
        .collect();
    found.sort_by_key(|slot| std::cmp::Reverse((slot.created, slot.id)));
    let mut slots = Vec::with_capacity(found.len());
    for slot in &found {
        slots.push(Slot::of(slot, &door.product_name(slot.product).await?));
    }
    Answer::json(StatusCode::OK, &MySlots { total_count: slots.len(), slots })
}

/// GET /slots/{id}
pub(crate) async fn get(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.caller(&call.head.headers)?;
    let (slot, _) = readable(door, &caller, id).await?;
    let name = door.product_name(slot.product).await?;
    Answer::json(StatusCode::OK, &Slot::of(&slot, &name))
}

/// The slot of this id, if there is one and the caller may see it.
async fn readable(door: &Door, caller: &Caller, id: &str) -> Result<(SlotView, SlotId), Failure> {
    let id = SlotId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    match door.shard.read(get_command(id.product, &id.to_string())).await? {
        Some(GetReply::Slot(slot)) => {
            caller.may_read(&slot.user)?;
            Ok((*slot, id))
        }
        Some(GetReply::Payment(_)) | None => {
            Err(Failure::not_found("there is no slot with this id"))
        }
    }
}

pub(super) fn get_command(product: ProductId, id: &str) -> Cmd {
    let mut command = cmd("SLOT.GET");
    command.arg(product.sale_key()).arg(id);
    command
}

pub(super) fn no_product() -> Failure {
    Failure::not_found("there is no product with this id")
}

/// DELETE /slots/{id}: its holder gives it back, an admin takes it back.
pub(crate) async fn give_back(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.caller(&call.head.headers)?;
    let (slot, id) = readable(door, &caller, id).await?;
    let own = slot.user == caller.user;
    let mut command = cmd(if own { "SLOT.RELEASE" } else { "SLOT.RECLAIM" });
    command.arg(id.product.sale_key()).arg(id.product.stream_key()).arg(id.to_string());
    if own {
        command.arg(caller.user.as_str());
    } else {
        command.arg("BY").arg(caller.user.as_str());
    }
    command.arg("TRACE").arg(call.trace.as_str());
    match door.shard.write(id.product, command).await? {
        Done::Ok => Ok(Answer::empty()),
        Done::NoSale | Done::NoSlot => Err(Failure::not_found("there is no slot with this id")),
        Done::NotHolder => Err(crate::auth::forbidden("this belongs to another user")),
        Done::PaymentInProgress => Err(Failure::new(
            Code::PaymentInProgress,
            "the slot can be given back when its payment has an outcome",
        )),
        Done::NotActive if slot.status == SlotStatus::Completed => {
            Err(Failure::new(Code::SlotAlreadyCompleted, "a slot that is paid can't be given back"))
        }
        Done::NotActive | Done::NotWaiting | Done::Closed | Done::InUse => {
            Err(Failure::new(Code::SlotExpired, "the slot is not held any more"))
        }
    }
}
