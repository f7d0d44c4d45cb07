//! The gateway's word on a charge. It gets a 200 only once the sale has taken the word in, as durably as every
//! write; anything else makes the gateway send it again, so that no money is lost on the way. Sent twice, it
//! changes nothing (R9).
//! Next: the module (SLOT.CONSUME, SLOT.DECLINE) decides.

use hyper::StatusCode;
use redis::cmd;
use serde::{Deserialize, Serialize};
use slot_core::ids::ChargeId;
use slot_core::wire::{PayRefusal, PayReply, PaymentStatus};

use crate::clock;
use crate::door::Door;
use crate::failure::Failure;
use crate::intake;
use crate::journal;
use crate::router::{Answer, Call, Outcome};

const BODY: usize = 4 * 1024;
const LONGEST_TEXT: usize = 255;

/// Further fields are the gateway's business and left alone: it may add some without asking us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Word {
    charge_id: String,
    status: String,
    #[serde(default)]
    gateway_reference: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    charge_id: String,
    outcome: &'static str,
    payment_id: Option<String>,
    slot_status: Option<&'static str>,
}

/// POST /webhooks/payment
pub(crate) async fn payment(door: &Door, call: &mut Call) -> Outcome {
    let body = intake::bytes(&mut call.body, BODY, door.config.body_timeout).await?;
    let now = clock::seconds(clock::now());
    door.webhook_secrets.check(&call.head.headers, &body, now)?;
    let word: Word = intake::parse(&body)?;
    let charge = ChargeId::parse(&word.charge_id)
        .map_err(|error| Failure::validation(format!("chargeId: {error}")))?;
    let (name, said) = match word.status.as_str() {
        "SUCCESS" => {
            let reference = word.gateway_reference.filter(|text| !text.is_empty());
            let reference = reference.ok_or_else(|| {
                Failure::validation("gatewayReference must name the charge at the gateway")
            })?;
            ("SLOT.CONSUME", checked("gatewayReference", reference)?)
        }
        "FAILED" => {
            let reason = word.reason.filter(|text| !text.is_empty());
            ("SLOT.DECLINE", checked("reason", reason.unwrap_or_else(|| "DECLINED".to_owned()))?)
        }
        _ => return Err(Failure::validation("status must be SUCCESS or FAILED")),
    };
    let product = charge.payment.slot.product;
    let mut command = cmd(name);
    command
        .arg(product.sale_key())
        .arg(product.stream_key())
        .arg(charge.to_string())
        .arg(said)
        .arg("TRACE")
        .arg(call.trace.as_str());
    match door.shard.write(product, command).await? {
        PayReply::Payment(payment, slot) => {
            if payment.status == PaymentStatus::Success {
                journal::payment_completed(&call.trace, &payment);
            }
            let taken = Taken {
                charge_id: charge.to_string(),
                outcome: payment.status.word(),
                payment_id: Some(payment.id.to_string()),
                slot_status: Some(slot.status.word()),
            };
            Ok(Answer::json(StatusCode::OK, &taken)?.called(payment.status.word()))
        }
        PayReply::UnknownCharge => {
            let taken = Taken {
                charge_id: charge.to_string(),
                outcome: PaymentStatus::RefundDue.word(),
                payment_id: None,
                slot_status: None,
            };
            Ok(Answer::json(StatusCode::OK, &taken)?.called(PaymentStatus::RefundDue.word()))
        }
        PayReply::Refused(PayRefusal::NoSale) => {
            Err(Failure::not_found("there is no sale for this charge here; send it again later"))
        }
        PayReply::Refused(refusal) => Err(super::payments::refused(refusal)),
    }
}

fn checked(field: &str, text: String) -> Result<String, Failure> {
    if text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(Failure::validation(format!(
            "{field} must be at most {LONGEST_TEXT} bytes without control characters"
        )))
    }
}
