//! SLOT.FENCE sale-key stream-key [TRACE id]
//!
//! A small write that always works: with a sale or without, paused, closed, out of memory. It changes nothing and
//! is replicated, so WAIT after it on the same connection answers for everything before it. Replies: [OK].

use redis_module::Context;
use slot_core::wire::{Done, Wire};

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::effects;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    parse(args)?;
    effects::replicate_verbatim(ctx);
    Ok(Done::Ok.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(), Failure> {
    args.keys()?;
    while args.option(&["TRACE"])?.is_some() {
        args.trace()?;
    }
    Ok(())
}
