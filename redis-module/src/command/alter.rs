//! SLOT.ALTER sale-key stream-key [NAME s] [DESCRIPTION s] [STOCK +n|-n] [SALEDATE ms] [IF event-number]
//! [BY admin] [TRACE id]
//!
//! Replies: core's `wire::SaleReply`. Next: core's sale/admin.rs decides (R10, R11).

use redis_module::Context;
use slot_core::ids::TraceId;
use slot_core::sale::{AlterAsk, MAX_STOCK};
use slot_core::wire::{SaleReply, Wire};

use crate::args::{self, Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

const OPTIONS: &[&str] = &["NAME", "DESCRIPTION", "STOCK", "SALEDATE", "IF", "BY", "TRACE"];

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, ask, trace) = parse(args)?;
    let now = clock::now();
    let reply = store::write(ctx, &keys, |sale, log| sale.alter(&ask, trace.as_ref(), now, log))?;
    Ok(reply.unwrap_or(SaleReply::NoSale).to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, AlterAsk, Option<TraceId>), Failure> {
    let keys = args.keys()?;
    let (mut ask, mut trace) = (AlterAsk::default(), None);
    while let Some(option) = args.option(OPTIONS)? {
        match option {
            "NAME" => ask.name = Some(args.text("name", 1..=800)?.to_owned()),
            "DESCRIPTION" => {
                ask.description = Some(args.text("description", 1..=8000)?.to_owned());
            }
            "STOCK" => ask.stock = Some(delta(&mut args)?),
            "SALEDATE" => ask.sale_date = Some(args.time("sale date")?),
            "IF" => ask.if_number = Some(args.event_number("IF")?),
            "BY" => ask.by = Some(args.user()?),
            _ => trace = Some(args.trace()?),
        }
    }
    ask.check()?;
    Ok((keys, ask, trace))
}

/// The sign is needed: a bare number could be meant as the new total.
fn delta(args: &mut Args<'_>) -> Result<i64, Failure> {
    let word = args.word("the change of stock")?.bytes();
    let units = |digits| args::number(digits, "the change of stock", 0..=u64::from(MAX_STOCK));
    let signed = match word {
        [b'+', digits @ ..] => units(digits).map(i64::try_from),
        [b'-', digits @ ..] => units(digits).map(|n| i64::try_from(n).map(i64::wrapping_neg)),
        _ => return Err(Failure::misuse("the change of stock must begin with + or -")),
    };
    Ok(signed?.unwrap_or(0))
}
