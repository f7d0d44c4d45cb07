//! SLOT.APPLY sale-key stream-key first-n previous-hash line…
//!
//! The events themselves, as a primary sends them to its replicas and its AOF, and a rebuild to a primary. Refused
//! if they do not continue the sale's chain; event 1 makes the sale and its stream. No clock is read. What was
//! applied goes on to this node's own replicas and AOF. Replies: how many events were applied.
//! Next: core's sale/apply.rs.

use redis_module::Context;
use slot_core::chain::ChainHash;
use slot_core::sale::{Log, Sale};
use slot_core::units::EventNumber;
use slot_core::wire::Value;

use crate::args::{Args, Keys};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::store;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, first, before, lines) = parse(args)?;
    let outcome = if first == EventNumber(1) {
        create(ctx, &keys, before, &lines)?
    } else {
        store::write(ctx, &keys, |sale, log| {
            continues(sale, first, before)?;
            replay(sale, &lines, log)
        })?
        .ok_or_else(|| {
            Failure::Diverged(format!("the events begin at {first}, there is no sale here"))
        })?
    };
    outcome.map(|()| Value::Int(i64::try_from(lines.len()).unwrap_or(i64::MAX)))
}

/// The outer result is that of making the sale, the inner that of all lines: those before one that is refused
/// stay, for they do continue the chain.
fn create(
    ctx: &Context,
    keys: &Keys<'_>,
    before: ChainHash,
    lines: &[&str],
) -> Result<Result<(), Failure>, Failure> {
    let mut outcome = Ok(());
    store::create(ctx, keys, |log| {
        if before != ChainHash::origin(&keys.product) {
            return Err(Failure::Diverged(
                "event 1 must follow the hash of the product's id".to_owned(),
            ));
        }
        let (first, others) = lines.split_first().ok_or_else(no_lines)?;
        let mut sale = Sale::from_first_line(keys.product, first, log)
            .map_err(|why| Failure::Diverged(why.to_string()))?;
        outcome = replay(&mut sale, others, log);
        Ok(sale)
    })?;
    Ok(outcome)
}

fn continues(sale: &Sale, first: EventNumber, before: ChainHash) -> Result<(), Failure> {
    if (sale.last_number().next(), sale.head()) == (first, before) {
        return Ok(());
    }
    Err(Failure::Diverged(format!(
        "the events begin at {first} after hash {before}, the sale is at event {} with hash {}",
        sale.last_number(),
        sale.head()
    )))
}

fn replay(sale: &mut Sale, lines: &[&str], log: &mut Log) -> Result<(), Failure> {
    for line in lines {
        sale.replay(line, log).map_err(|why| Failure::Diverged(why.to_string()))?;
    }
    Ok(())
}

fn no_lines() -> Failure {
    Failure::misuse("SLOT.APPLY needs at least one line")
}

type Parsed<'a> = (Keys<'a>, EventNumber, ChainHash, Vec<&'a str>);

fn parse(mut args: Args<'_>) -> Result<Parsed<'_>, Failure> {
    let keys = args.keys()?;
    let first = args.event_number("the first event's number")?;
    let before = ChainHash::parse(args.text("the hash of the event before", 0..=64)?)?;
    let mut lines = Vec::with_capacity(args.left());
    while args.left() > 0 {
        lines.push(args.text("the line", 1..=65_536)?);
    }
    if lines.is_empty() {
        return Err(no_lines());
    }
    Ok((keys, first, before, lines))
}
