//! SLOT.CHANGED cursor [COUNT n]
//!
//! The sales of this node and database that changed since the cursor (`run-id.counter`), dropped ones too, the
//! longest unchanged first, at most n (1000). `0`, or a cursor of another run, lists all, in pages. Replies: core's
//! `wire::ChangedReply`; ask again with its cursor. Next: registry.rs counts the changes.

use redis_module::Context;
use slot_core::wire::{ChangedReply, ChangedSale, Wire};
use std::sync::OnceLock;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::Reply;
use crate::server::state::{database, random_hex};
use crate::server::text::Text;
use crate::{registry, store};

/// Names this run of the module: a restart, and a failover, list everything again.
static RUN: OnceLock<String> = OnceLock::new();

fn run_id() -> &'static str {
    RUN.get_or_init(|| String::from_utf8_lossy(&random_hex()).into_owned())
}

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (after, most) = parse(args)?;
    let mut sales = Vec::new();
    let mut counter = after;
    for (changed, product) in registry::changes_since(database(ctx), after, most) {
        counter = changed;
        let name = Text::new(product.sale_key().as_bytes());
        let sale = store::read(ctx, product, name.word(), |sale| ChangedSale {
            product,
            events: sale.last_number(),
            head: sale.head(),
        });
        // A key that holds something else now has no sale to tell of.
        sales.extend(sale.ok().flatten());
    }
    Ok(ChangedReply { cursor: format!("{}.{counter}", run_id()), sales }.to_value())
}

fn parse(mut args: Args<'_>) -> Result<(u64, usize), Failure> {
    let cursor = args.text("the cursor", 1..=64)?;
    let after = match cursor.split_once('.') {
        Some((run, counter)) => {
            let form = |_| Failure::misuse("the cursor must be 0 or one that SLOT.CHANGED gave");
            let counter = counter.parse().map_err(form)?;
            if run == run_id() { counter } else { 0 }
        }
        None if cursor == "0" => 0,
        None => {
            return Err(Failure::misuse("the cursor must be 0 or one that SLOT.CHANGED gave"));
        }
    };
    let mut most = 1000;
    while args.option(&["COUNT"])?.is_some() {
        most = args.small("COUNT", 1..=10_000)?;
    }
    Ok((after, usize::try_from(most).unwrap_or(usize::MAX)))
}
