//! SLOT.PAY sale-key stream-key slot user idempotency-key minor currency method [TRACE id]
//!
//! Replies: core's `wire::PayReply`. Next: core's sale/pay.rs decides.

use redis_module::Context;
use slot_core::sale::PayAsk;
use slot_core::units::PaymentMethod;
use slot_core::wire::{PayRefusal, PayReply, Wire};

use super::create::price;
use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, ask) = parse(args)?;
    let now = clock::now();
    let reply = store::write(ctx, &keys, |sale, log| sale.pay(&ask, now, log))?
        .unwrap_or(PayReply::Refused(PayRefusal::NoSale));
    Ok(reply.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, PayAsk), Failure> {
    let keys = args.keys()?;
    let mut ask = PayAsk {
        slot: args.slot(keys.product)?,
        user: args.user()?,
        key: args.text("the idempotency key", 1..=255)?.into(),
        price: price(&mut args)?,
        method: PaymentMethod::parse(args.text("method", 0..=64)?)?,
        trace: None,
    };
    while args.option(&["TRACE"])?.is_some() {
        ask.trace = Some(args.trace()?);
    }
    ask.check()?;
    Ok((keys, ask))
}
