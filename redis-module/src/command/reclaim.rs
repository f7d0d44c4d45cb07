//! SLOT.RECLAIM sale-key stream-key slot [BY admin] [TRACE id]
//!
//! An admin takes a slot back. Replies: core's `wire::Done`. Next: core's sale/reclaim.rs decides.

use redis_module::Context;
use slot_core::ids::SlotId;
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Asker, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, slot, asker) = parse(args)?;
    let now = clock::now();
    let done = store::write(ctx, &keys, |sale, log| {
        sale.reclaim(&slot, asker.by.as_ref(), asker.trace.as_ref(), now, log)
    })?;
    Ok(done.unwrap_or(Done::NoSale).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, SlotId, Asker), Failure> {
    let keys = args.keys()?;
    let slot = args.slot(keys.product)?;
    Ok((keys, slot, args.asker()?))
}
