//! SLOT.PAUSE sale-key stream-key [REASON text] [BY admin] [TRACE id]
//!
//! Stops grants and promotions; payments go on (R11). Replies: core's `wire::Done`. Next: core's
//! sale/admin.rs decides.

use redis_module::Context;
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Asker, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, reason, asker) = parse(args)?;
    let now = clock::now();
    let done = store::write(ctx, &keys, |sale, log| {
        sale.pause(asker.by.as_ref(), reason, asker.trace.as_ref(), now, log)
    })?;
    Ok(done.unwrap_or(Done::NoSale).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, &str, Asker), Failure> {
    let keys = args.keys()?;
    let (mut reason, mut asker) = ("", Asker::default());
    while let Some(option) = args.option(&["REASON", "BY", "TRACE"])? {
        match option {
            "REASON" => reason = args.text("the reason", 0..=255)?,
            "BY" => asker.by = Some(args.user()?),
            _ => asker.trace = Some(args.trace()?),
        }
    }
    Ok((keys, reason, asker))
}
