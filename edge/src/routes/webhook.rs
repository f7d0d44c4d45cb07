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

/// A text that is too long is cut, so there is room for it to come in.
const BODY: usize = 16 * 1024;
const LONGEST_TEXT: usize = 255;

/// Further fields are the gateway's business and left alone: it may add some without asking us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Word {
    charge_id: String,
    status: String,
    gateway_reference: Option<String>,
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
        // The gateway knows its charge by our charge id too.
        "SUCCESS" => {
            ("SLOT.CONSUME", tidy(word.gateway_reference).unwrap_or_else(|| charge.to_string()))
        }
        "FAILED" => ("SLOT.DECLINE", tidy(word.reason).unwrap_or_else(|| "DECLINED".to_owned())),
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

/// A text as the module takes it: without control characters, and cut to length; `None` if nothing is left. Money
/// has moved by now: refusing a word for its looks would only make the gateway send it again for ever.
fn tidy(text: Option<String>) -> Option<String> {
    let mut text = text?;
    text.retain(|c| !c.is_control());
    let end = (0..=LONGEST_TEXT).rev().find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
    Some(text).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_to_fit_and_never_refused() {
        let tidy = |text: &str| tidy(Some(text.to_owned()));
        assert_eq!(tidy("gw-1").as_deref(), Some("gw-1"));
        assert_eq!(tidy("a\n\u{0}b\u{85}\u{7f}").as_deref(), Some("ab"));
        assert_eq!(tidy(&"x".repeat(256)), Some("x".repeat(255)));
        // 85 of three bytes are 255; one byte more, and the last one no longer fits.
        assert_eq!(tidy(&format!("x{}", "日".repeat(85))), Some(format!("x{}", "日".repeat(84))));
        for nothing in ["", "\n", " \t "] {
            assert_eq!(tidy(nothing), None, "{nothing:?}");
        }
    }
}
