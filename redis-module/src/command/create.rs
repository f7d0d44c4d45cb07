//! SLOT.CREATE sale-key stream-key STOCK n SALEDATE ms NAME s DESCRIPTION s [TTL ms] [WAITLIST n] [LIMIT n]
//! [PAYMENTWINDOW ms] [EXPIRINGSOON ms] [PRICE minor currency] [BY admin] [TRACE id]
//!
//! The one command that makes a stream. Replies: [OK, sale], or [EXISTS, sale] and nothing changes (core's
//! `wire::SaleReply`). Next: core's sale/admin.rs decides.

use redis_module::Context;
use slot_core::ids::TraceId;
use slot_core::sale::{CreateAsk, MAX_STOCK, Sale};
use slot_core::units::{Currency, MinorUnits, Price, UnixMillis};
use slot_core::wire::{SaleReply, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, store};

const OPTIONS: &[&str] = &[
    "STOCK",
    "SALEDATE",
    "NAME",
    "DESCRIPTION",
    "TTL",
    "WAITLIST",
    "LIMIT",
    "PAYMENTWINDOW",
    "EXPIRINGSOON",
    "PRICE",
    "BY",
    "TRACE",
];

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, ask, trace) = parse(args)?;
    let now = clock::now();
    if let Some(sale) = view(ctx, &keys, now)? {
        return Ok(SaleReply::Exists(sale).to_value());
    }
    store::create(ctx, &keys, |log| {
        Ok(Sale::create(keys.product, &ask, now, trace.as_ref(), log)?)
    })?;
    let sale = view(ctx, &keys, now)?;
    let gone = || Failure::Internal("the sale is not where it was created".to_owned());
    Ok(SaleReply::Sale(sale.ok_or_else(gone)?).to_value())
}

fn view(
    ctx: &Context,
    keys: &Keys<'_>,
    now: UnixMillis,
) -> Result<Option<Box<slot_core::wire::SaleView>>, Failure> {
    store::read(ctx, keys.product, keys.sale, |sale| Box::new(sale.view(now)))
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, CreateAsk, Option<TraceId>), Failure> {
    let keys = args.keys()?;
    let mut trace = None;
    let (mut stock, mut sale_date, mut name, mut description) = (None, None, None, None);
    let mut ask = CreateAsk {
        name: String::new(),
        description: String::new(),
        stock: 0,
        sale_date: UnixMillis(0),
        ttl: None,
        waitlist: None,
        limit: None,
        payment_window: None,
        expiring_soon: None,
        price: None,
        by: None,
    };
    while let Some(option) = args.option(OPTIONS)? {
        match option {
            "STOCK" => stock = Some(args.small("stock", 1..=MAX_STOCK)?),
            "SALEDATE" => sale_date = Some(args.time("sale date")?),
            "NAME" => name = Some(args.text("name", 1..=800)?),
            "DESCRIPTION" => description = Some(args.text("description", 1..=8000)?),
            "TTL" => ask.ttl = Some(args.span("ttl")?),
            "WAITLIST" => ask.waitlist = Some(args.small("waitlist", 0..=u32::MAX)?),
            "LIMIT" => ask.limit = Some(args.small("limit", 1..=1000)?),
            "PAYMENTWINDOW" => ask.payment_window = Some(args.span("payment window")?),
            "EXPIRINGSOON" => ask.expiring_soon = Some(args.span("expiring-soon")?),
            "PRICE" => ask.price = Some(price(&mut args)?),
            "BY" => ask.by = Some(args.user()?),
            _ => trace = Some(args.trace()?),
        }
    }
    let needed = |option| move || Failure::Misuse(format!("SLOT.CREATE needs {option}"));
    ask.stock = stock.ok_or_else(needed("STOCK n"))?;
    ask.sale_date = sale_date.ok_or_else(needed("SALEDATE ms"))?;
    name.ok_or_else(needed("NAME s"))?.clone_into(&mut ask.name);
    description.ok_or_else(needed("DESCRIPTION s"))?.clone_into(&mut ask.description);
    Ok((keys, ask, trace))
}

/// `minor currency`, as PAY has it too.
pub(super) fn price(args: &mut Args<'_>) -> Result<Price, Failure> {
    let amount = args.number("the amount in minor units", 1..=i64::MAX.unsigned_abs())?;
    let currency = Currency::parse(args.text("currency", 0..=64)?)?;
    Ok(Price { amount: MinorUnits(amount), currency })
}
