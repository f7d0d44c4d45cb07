//! Payments: starting one, and looking at it. The charge itself is asked for by the persister once the attempt is
//! durable in Postgres; its outcome comes back through webhook.rs.
//! Next: the module (SLOT.PAY) decides.

use hyper::StatusCode;
use redis::cmd;
use serde::Deserialize;
use serde_json::value::RawValue;
use slot_core::ids::{PaymentId, SlotId};
use slot_core::units::PaymentMethod;
use slot_core::wire::{GetReply, PayRefusal, PayReply};

use super::slots::get_command;
use crate::auth::forbidden;
use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::intake;
use crate::money;
use crate::router::{Answer, Call, Outcome};
use crate::shapes::Payment;

const BODY: usize = 4 * 1024;
const LONGEST_KEY: usize = 255;

/// Further fields are left alone, so that a newer buyer's client can talk to an older edge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody {
    purchase_slot_id: String,
    idempotency_key: String,
    amount: Box<RawValue>,
    /// KRW without.
    currency: Option<String>,
    payment_method: String,
}

/// POST /payments
pub(crate) async fn start(door: &Door, call: &mut Call) -> Outcome {
    let caller = door.auth.buyer(&call.head.headers)?;
    intake::must_be_json(&call.head.headers)?;
    let body = intake::bytes(&mut call.body, BODY, door.config.body_timeout).await?;
    let body: StartBody = intake::parse(&body)?;
    let key = body.idempotency_key.as_str();
    if !(1..=LONGEST_KEY).contains(&key.len()) || key.chars().any(char::is_control) {
        return Err(Failure::validation(format!(
            "idempotencyKey must be 1 to {LONGEST_KEY} bytes without control characters"
        )));
    }
    let currency =
        money::currency(body.currency.as_deref().unwrap_or("KRW")).map_err(Failure::validation)?;
    let amount = money::minor("amount", &body.amount, currency).map_err(Failure::validation)?;
    let method = PaymentMethod::parse(&body.payment_method)
        .map_err(|error| Failure::validation(format!("paymentMethod: {error}")))?;
    let slot = intake::id("purchaseSlotId", &body.purchase_slot_id, SlotId::parse)?;
    let mut command = cmd("SLOT.PAY");
    command
        .arg(slot.product.sale_key())
        .arg(slot.product.stream_key())
        .arg(slot.to_string())
        .arg(caller.user.as_str())
        .arg(key)
        .arg(amount.0)
        .arg(currency.as_str())
        .arg(method.word())
        .arg("TRACE")
        .arg(call.trace.as_str());
    match door.shard.write(slot.product, command).await? {
        PayReply::Payment(payment, _) => {
            let payment = Payment::of(&payment);
            Ok(Answer::json(StatusCode::CREATED, &payment)?.at("payments", &payment.id))
        }
        PayReply::Refused(refusal) => Err(refused(refusal)),
        PayReply::UnknownCharge => Err(Failure::internal("SLOT.PAY answered about a charge")),
    }
}

pub(super) fn refused(refusal: PayRefusal) -> Failure {
    match refusal {
        PayRefusal::NoSale | PayRefusal::NoSlot => {
            Failure::not_found("there is no slot with this id")
        }
        PayRefusal::NoPayment => Failure::not_found("there is no payment with this id"),
        PayRefusal::NotHolder => forbidden("this slot belongs to another user"),
        PayRefusal::IdempotencyMismatch => Failure::new(
            Code::IdempotencyMismatch,
            "send the same content as before, or a new idempotencyKey",
        ),
        PayRefusal::SlotCompleted => {
            Failure::new(Code::SlotAlreadyCompleted, "there is nothing left to pay")
        }
        PayRefusal::SlotExpired => {
            Failure::new(Code::SlotExpired, "the slot is not held any more; ask for a new one")
        }
        PayRefusal::PaymentInProgress => Failure::new(
            Code::PaymentInProgress,
            "wait for the outcome of the payment before; it has a few minutes at most",
        ),
        PayRefusal::TooManyPayments => {
            Failure::new(Code::TooManyPayments, "all 255 attempts for this slot are used up")
        }
        PayRefusal::AmountMismatch => {
            Failure::new(Code::AmountMismatch, "amount and currency must be the product's price")
        }
    }
}

/// GET /payments/{id}
pub(crate) async fn get(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.caller(&call.head.headers)?;
    let id = PaymentId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    match door.shard.read(get_command(id.slot.product, &id.to_string())).await? {
        Some(GetReply::Payment(payment)) => {
            caller.may_read(&payment.user)?;
            Answer::json(StatusCode::OK, &Payment::of(&payment))
        }
        Some(GetReply::Slot(_)) | None => {
            Err(Failure::not_found("there is no payment with this id"))
        }
    }
}
