//! SLOT.GET sale-key id
//!
//! A slot, a place on the waitlist or a payment, by the clock. Replies: core's `wire::SlotView` or
//! `wire::PaymentView`, or null. Next: core's sale/view.rs.

use redis_module::Context;
use slot_core::ids::{AnyId, ProductId};
use slot_core::wire::Wire;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::text::Word;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (product, key, id) = parse(args)?;
    let now = clock::now();
    let found = store::read(ctx, product, key, |sale| sale.get(id, now))?;
    Ok(found.flatten().to_value())
}

fn parse(mut args: Args<'_>) -> Result<(ProductId, Word<'_>, AnyId), Failure> {
    let (product, key) = args.sale_key()?;
    let id = args.any_id(product)?;
    args.end()?;
    Ok((product, key, id))
}
