//! SLOT.MINE user
//!
//! Everything of one user's in all sales of this node and database. Replies: an array of core's
//! `wire::UserView`, one for each sale in which the user has or had a place. Next: registry.rs lists the sales.

use redis_module::Context;
use slot_core::ids::UserId;
use slot_core::wire::Wire;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::state::database;
use crate::server::text::Text;
use crate::{clock, registry, store};

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let user = parse(args)?;
    let now = clock::now();
    let mut views = Vec::new();
    for product in registry::sales(database(ctx)) {
        let name = Text::new(product.sale_key().as_bytes());
        let view = store::read(ctx, product, name.word(), |sale| {
            (!sale.is_deleted()).then(|| sale.user_view(&user, now))
        });
        // One sale whose key holds something else must not hide the others.
        if let Ok(Some(Some(view))) = view
            && !view.slots.is_empty()
        {
            views.push(view);
        }
    }
    Ok(views.to_value())
}

fn parse(mut args: Args<'_>) -> Result<UserId, Failure> {
    let user = args.user()?;
    args.end()?;
    Ok(user)
}
