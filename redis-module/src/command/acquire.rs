//! SLOT.ACQUIRE sale-key stream-key user [WAIT] [NTH k] [ARRIVED ms] [TRACE id]
//!
//! Replies: core's `wire::AcquireReply`. Next: core's sale/acquire.rs decides, store.rs carries it out.

use redis_module::Context;
use slot_core::sale::AcquireAsk;
use slot_core::wire::{AcquireReply, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::state::memory_ratio;
use crate::{clock, info, store};

/// From this share of `maxmemory` on nobody is granted or queued any more: what is left is for finishing and
/// for the streams of sinks that are behind (DESIGN §7).
const FULL: f32 = 0.95;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, mut ask) = parse(args)?;
    let now = clock::now();
    ask.backlog = backlog();
    let reply = store::write(ctx, &keys, |sale, log| sale.acquire(&ask, now, log))?
        .unwrap_or(AcquireReply::NoSale);
    info::count(&reply);
    Ok(reply.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, AcquireAsk), Failure> {
    let keys = args.keys()?;
    let mut ask = AcquireAsk {
        user: args.user()?,
        wait: false,
        nth: 1,
        arrived: None,
        trace: None,
        backlog: false,
    };
    while let Some(option) = args.option(&["WAIT", "NTH", "ARRIVED", "TRACE"])? {
        match option {
            "WAIT" => ask.wait = true,
            "NTH" => ask.nth = args.small("NTH", 1..=1000)?,
            "ARRIVED" => ask.arrived = Some(args.time("ARRIVED")?),
            _ => ask.trace = Some(args.trace()?),
        }
    }
    Ok((keys, ask))
}

/// Whether the server is so full that only finishing goes on.
pub(super) fn backlog() -> bool {
    memory_ratio() >= FULL
}
