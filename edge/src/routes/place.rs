//! The caller's own place on a waitlist (R6).
//! Next: the module (SLOT.USER, SLOT.LEAVE).

use hyper::StatusCode;
use redis::cmd;
use serde::Serialize;
use slot_core::ids::ProductId;
use slot_core::wire::{Done, UserView};

use super::slots::no_product;
use crate::door::Door;
use crate::failure::Failure;
use crate::router::{Answer, Call, Outcome};

#[derive(Serialize)]
struct Place {
    position: u32,
    ahead: u32,
}

/// GET /products/{id}/waitlist/me
pub(crate) async fn get(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.buyer(&call.head.headers)?;
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    let mut command = cmd("SLOT.USER");
    command.arg(id.sale_key()).arg(caller.user.as_str());
    let user: Option<UserView> = door.shard.read(command).await?;
    match user.ok_or_else(no_product)? {
        UserView { position: Some(position), ahead: Some(ahead), .. } => {
            Answer::json(StatusCode::OK, &Place { position, ahead })
        }
        _ => Err(not_waiting()),
    }
}

/// DELETE /products/{id}/waitlist/me
pub(crate) async fn leave(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.buyer(&call.head.headers)?;
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    let mut command = cmd("SLOT.LEAVE");
    command.arg(id.sale_key()).arg(id.stream_key()).arg(caller.user.as_str());
    command.arg("TRACE").arg(call.trace.as_str());
    match door.shard.write(id, command).await? {
        Done::Ok => Ok(Answer::empty()),
        Done::NoSale => Err(no_product()),
        Done::NotWaiting => Err(not_waiting()),
        other => Err(Failure::internal(format!("SLOT.LEAVE answered {other}"))),
    }
}

fn not_waiting() -> Failure {
    Failure::not_found("you are not on this product's waitlist")
}
