//! SLOT.SALE sale-key
//!
//! The sale and its counters. Replies: core's `wire::SaleView`, or null without a sale. Next: core's sale/view.rs.

use redis_module::Context;
use slot_core::ids::ProductId;
use slot_core::wire::Wire;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::text::Word;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (product, key) = parse(args)?;
    let now = clock::now();
    let view = store::read(ctx, product, key, |sale| (!sale.is_deleted()).then(|| sale.view(now)))?;
    Ok(view.flatten().to_value())
}

fn parse(mut args: Args<'_>) -> Result<(ProductId, Word<'_>), Failure> {
    let found = args.sale_key()?;
    args.end()?;
    Ok(found)
}
