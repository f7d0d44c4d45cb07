//! SLOT.TRIM sale-key stream-key n hash [TRACE id]
//!
//! Drops the stream's entries before event n and keeps n; refused unless event n has this chain hash. Replies: how
//! many entries went. Next: store.rs.

use redis_module::Context;
use slot_core::wire::Value;

use crate::args::Args;
use crate::reply::Reply;
use crate::store;

pub(super) fn run(ctx: &Context, mut args: Args<'_>) -> Reply {
    let keys = args.keys()?;
    let (number, hash) = args.event()?;
    Ok(Value::Int(store::trim(ctx, &keys, number, hash)?))
}
