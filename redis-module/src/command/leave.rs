//! SLOT.LEAVE sale-key stream-key user [TRACE id]
//!
//! A buyer leaves the waitlist (R6). Replies: core's `wire::Done`. Next: core's sale/reclaim.rs decides.

use redis_module::Context;
use slot_core::ids::{TraceId, UserId};
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, user, trace) = parse(args)?;
    let now = clock::now();
    let done = store::write(ctx, &keys, |sale, log| sale.leave(&user, trace.as_ref(), now, log))?;
    Ok(done.unwrap_or(Done::NoSale).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, UserId, Option<TraceId>), Failure> {
    let (keys, user) = (args.keys()?, args.user()?);
    let mut trace = None;
    while args.option(&["TRACE"])?.is_some() {
        trace = Some(args.trace()?);
    }
    Ok((keys, user, trace))
}
