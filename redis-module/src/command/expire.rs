//! SLOT.EXPIRE sale-key stream-key [LIMIT n] [TRACE id]
//!
//! Lets time act on at most n slots (256), as the sweeper does by itself. Replies: how many were taken back;
//! 0 without a sale. Events made by time carry their slot's trace, so TRACE is read and not used.
//! Next: core's sale/time.rs acts.

use redis_module::Context;
use slot_core::sale::STEP_LIMIT;
use slot_core::wire::Wire;

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, limit) = parse(args)?;
    let now = clock::now();
    let reclaimed = store::write(ctx, &keys, |sale, log| sale.advance(now, limit, log))?;
    Ok(reclaimed.unwrap_or(0).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, u32), Failure> {
    let keys = args.keys()?;
    let mut limit = STEP_LIMIT;
    while let Some(option) = args.option(&["LIMIT", "TRACE"])? {
        match option {
            "LIMIT" => limit = args.small("LIMIT", 1..=10_000)?,
            _ => drop(args.trace()?),
        }
    }
    Ok((keys, limit))
}
