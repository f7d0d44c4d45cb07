//! SLOT.DROP sale-key stream-key [BY admin] [TRACE id]
//!
//! Deletes the product: the sale is hidden, its history stays (R11). Replies: core's `wire::Done`. Next: core's sale/admin.rs decides.

use redis_module::Context;
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Asker, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, asker) = parse(args)?;
    let now = clock::now();
    let done = store::write(ctx, &keys, |sale, log| {
        sale.drop_product(asker.by.as_ref(), asker.trace.as_ref(), now, log)
    })?;
    Ok(done.unwrap_or(Done::NoSale).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, Asker), Failure> {
    Ok((args.keys()?, args.asker()?))
}
