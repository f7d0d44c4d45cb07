//! SLOT.LOAD sale-key stream-key version blob
//!
//! A whole state, as an AOF rewrite and a rebuild write it. It brings no stream: that is a native key, and must end
//! with the state's last event before the sale takes writes. Refused where the sale here is further on. Replies:
//! [OK]. Next: core's sale/blob.rs reads it.

use redis_module::Context;
use slot_core::sale::Sale;
use slot_core::wire::{Done, Wire};

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::store;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, sale) = parse(args)?;
    store::put(ctx, &keys, sale)?;
    Ok(Done::Ok.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, Sale), Failure> {
    let keys = args.keys()?;
    let version = args.small("the encoding version", 1..=1023)?;
    let blob = args.word("the blob")?.bytes();
    args.end()?;
    let sale = Sale::from_blob(version, blob)?;
    if sale.product() != keys.product {
        return Err(Failure::Misuse(format!(
            "the blob is of product {}, the key names {}",
            sale.product(),
            keys.product
        )));
    }
    Ok((keys, sale))
}
