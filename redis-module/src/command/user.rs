//! SLOT.USER sale-key user
//!
//! Everything of one user's in the sale. Replies: core's `wire::UserView`, or null without a sale. Next: core's
//! sale/view.rs.

use redis_module::Context;
use slot_core::ids::{ProductId, UserId};
use slot_core::wire::Wire;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::text::Word;
use crate::{clock, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (product, key, user) = parse(args)?;
    let now = clock::now();
    let view = store::read(ctx, product, key, |sale| {
        (!sale.is_deleted()).then(|| sale.user_view(&user, now))
    })?;
    Ok(view.flatten().to_value())
}

fn parse(mut args: Args<'_>) -> Result<(ProductId, Word<'_>, UserId), Failure> {
    let (product, key) = args.sale_key()?;
    let user = args.user()?;
    args.end()?;
    Ok((product, key, user))
}
