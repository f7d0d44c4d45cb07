//! What an admin does to a sale as it runs: pause, resume, close (R11).
//! Next: the module (SLOT.PAUSE, SLOT.RESUME, SLOT.CLOSE).

use hyper::StatusCode;
use redis::cmd;
use slot_core::ids::ProductId;
use slot_core::wire::{Done, SaleView};

use super::slots::no_product;
use crate::catalogue::sale_command;
use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::router::{Answer, Call, Outcome};

/// POST /products/{id}/pause
pub(crate) async fn pause(door: &Door, call: &Call, id: &str) -> Outcome {
    tell(door, call, id, "SLOT.PAUSE").await
}

/// POST /products/{id}/resume
pub(crate) async fn resume(door: &Door, call: &Call, id: &str) -> Outcome {
    tell(door, call, id, "SLOT.RESUME").await
}

/// POST /products/{id}/close
pub(crate) async fn close(door: &Door, call: &Call, id: &str) -> Outcome {
    tell(door, call, id, "SLOT.CLOSE").await
}

async fn tell(door: &Door, call: &Call, id: &str, command: &str) -> Outcome {
    let caller = door.auth.admin(&call.head.headers)?;
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    let mut command = cmd(command);
    command.arg(id.sale_key()).arg(id.stream_key());
    command.arg("BY").arg(caller.user.as_str()).arg("TRACE").arg(call.trace.as_str());
    match door.shard.write(id, command).await? {
        Done::Ok => {}
        Done::NoSale => return Err(no_product()),
        Done::Closed => return Err(Failure::new(Code::SaleClosed, "a closed sale stays closed")),
        other => return Err(Failure::internal(format!("the module answered {other}"))),
    }
    let sale: Option<SaleView> = door.shard.read(sale_command(id)).await?;
    let listed = door.catalogue.put(sale.ok_or_else(no_product)?);
    Answer::json(StatusCode::OK, &listed.product())
}
