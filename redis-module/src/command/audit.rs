//! SLOT.AUDIT sale-key
//!
//! The sale recounted from its slots, with chain head and digest; a dropped sale's too. O(slots). Replies: core's
//! `wire::AuditView`, or null without a sale. Next: core's sale/audit.rs.

use redis_module::Context;
use slot_core::ids::ProductId;
use slot_core::sale::Sale;
use slot_core::wire::Wire;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::text::Word;
use crate::store;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (product, key) = parse(args)?;
    Ok(store::read(ctx, product, key, Sale::audit)?.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(ProductId, Word<'_>), Failure> {
    let found = args.sale_key()?;
    args.end()?;
    Ok(found)
}
