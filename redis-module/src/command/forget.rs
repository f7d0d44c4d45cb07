//! SLOT.FORGET sale-key stream-key n hash [TRACE id]
//!
//! Removes a dropped sale and its stream; refused unless its last event is n with this chain hash. Replies: [OK], or
//! [NO_SALE]. Next: store.rs.

use redis_module::Context;
use slot_core::wire::{Done, Wire};

use crate::args::Args;
use crate::reply::Reply;
use crate::store;

pub(super) fn run(ctx: &Context, mut args: Args<'_>) -> Reply {
    let keys = args.keys()?;
    let (number, hash) = args.event()?;
    let found = store::forget(ctx, &keys, number, hash)?;
    Ok(if found { Done::Ok } else { Done::NoSale }.to_value())
}
