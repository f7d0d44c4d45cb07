//! SLOT.CONSUME sale-key stream-key charge gateway-reference [TRACE id]
//!
//! The gateway has the money of this charge (R8). Replies: core's `wire::PayReply`. Next: core's
//! sale/settle.rs decides.

use redis_module::Context;
use slot_core::ids::{ChargeId, TraceId};
use slot_core::wire::{PayRefusal, PayReply, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, charge, reference, trace) = parse(args)?;
    let now = clock::now();
    let reply = store::write(ctx, &keys, |sale, log| {
        sale.consume(&charge, reference, trace.as_ref(), now, log)
    })?
    .unwrap_or(PayReply::Refused(PayRefusal::NoSale));
    Ok(reply.to_value())
}

type Parsed<'a> = (Keys<'a>, ChargeId, &'a str, Option<TraceId>);

fn parse(mut args: Args<'_>) -> Result<Parsed<'_>, Failure> {
    let keys = args.keys()?;
    let charge = args.charge(keys.product)?;
    let reference = args.text("the gateway's reference", 1..=255)?;
    let mut trace = None;
    while args.option(&["TRACE"])?.is_some() {
        trace = Some(args.trace()?);
    }
    Ok((keys, charge, reference, trace))
}
