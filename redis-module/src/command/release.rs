//! SLOT.RELEASE sale-key stream-key slot user [TRACE id]
//!
//! The holder gives a slot back. Replies: core's `wire::Done`. Next: core's sale/reclaim.rs decides.

use redis_module::Context;
use slot_core::ids::{SlotId, TraceId, UserId};
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, slot, user, trace) = parse(args)?;
    let now = clock::now();
    let done =
        store::write(ctx, &keys, |sale, log| sale.release(&slot, &user, trace.as_ref(), now, log))?;
    Ok(done.unwrap_or(Done::NoSale).to_value())
}

type Parsed<'a> = (Keys<'a>, SlotId, UserId, Option<TraceId>);

fn parse(mut args: Args<'_>) -> Result<Parsed<'_>, Failure> {
    let keys = args.keys()?;
    let (slot, user) = (args.slot(keys.product)?, args.user()?);
    let mut trace = None;
    while args.option(&["TRACE"])?.is_some() {
        trace = Some(args.trace()?);
    }
    Ok((keys, slot, user, trace))
}
