//! SLOT.MACQUIRE sale-key stream-key n {user wait arrived trace}×n [TRACE id]
//!
//! The batch form of SLOT.ACQUIRE, decided in order, in one step with one replicated command. `wait` is 0 or 1,
//! `arrived` 0 and `trace` empty mean none; TRACE is for the items without one. An item that is not as it should be is an error for itself alone.
//! Replies: an array of n of SLOT.ACQUIRE's. Next: core's sale/acquire.rs decides.

use redis_module::Context;
use slot_core::sale::AcquireAsk;
use slot_core::units::UnixMillis;
use slot_core::wire::{AcquireReply, Value, Wire};

use super::acquire::backlog;
use crate::args::{self, Args, Keys, TIMES};
use crate::failure::Failure;
use crate::reply::Reply;
use crate::{clock, info, store};

/// The most items; a larger batch would hold up the server for everybody else.
const MOST: u64 = 256;

type Item = Result<AcquireAsk, Failure>;

pub(super) fn run(ctx: &Context, args: Args<'_>) -> Reply {
    let (keys, items) = parse(args)?;
    let now = clock::now();
    let replies =
        store::write(ctx, &keys, |sale, log| answer(&items, |ask| sale.acquire(ask, now, log)))?;
    Ok(Value::List(replies.unwrap_or_else(|| answer(&items, |_| AcquireReply::NoSale))))
}

fn answer(items: &[Item], mut decide: impl FnMut(&AcquireAsk) -> AcquireReply) -> Vec<Value> {
    let one = |item: &Item| match item {
        Ok(ask) => {
            let reply = decide(ask);
            info::count(&reply);
            reply.to_value()
        }
        Err(failure) => Value::Error(failure.to_string()),
    };
    items.iter().map(one).collect()
}

fn parse(mut args: Args<'_>) -> Result<(Keys<'_>, Vec<Item>), Failure> {
    let keys = args.keys()?;
    let count = usize::try_from(args.number("n", 1..=MOST)?).unwrap_or(0);
    let words = count.saturating_mul(4);
    if args.left() != words && args.left() != words.saturating_add(2) {
        return Err(Failure::Misuse(format!(
            "n is {count}, so {} words must follow: user wait arrived trace for each, got {}",
            words,
            args.left()
        )));
    }
    let backlog = backlog();
    let mut items: Vec<Item> =
        (0..count).map(|_| item(&mut args, backlog)).collect::<Result<_, _>>()?;
    if args.option(&["TRACE"])?.is_some() {
        let trace = args.trace()?;
        for ask in items.iter_mut().flatten() {
            ask.trace.get_or_insert_with(|| trace.clone());
        }
    }
    Ok((keys, items))
}

/// The outer result is the command's, the inner the item's.
fn item(args: &mut Args<'_>, backlog: bool) -> Result<Item, Failure> {
    let [user, wait, arrived, trace] =
        [args.word("user")?, args.word("wait")?, args.word("arrived")?, args.word("trace")?]
            .map(|word| word.bytes());
    let read = || {
        let user = args::user(user)?;
        let wait = args::number(wait, "wait", 0..=1)? == 1;
        let arrived = Some(args::number(arrived, "arrived", TIMES)?).filter(|ms| *ms != 0);
        let trace = if trace.is_empty() { None } else { Some(args::trace(trace)?) };
        Ok(AcquireAsk { user, wait, nth: 1, arrived: arrived.map(UnixMillis), trace, backlog })
    };
    Ok(read())
}
