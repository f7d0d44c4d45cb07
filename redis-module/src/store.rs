//! The one place that changes sales. A write opens both keys, makes sure that sale and stream belong
//! together, lets core decide and apply, appends what happened to the stream, and sends exactly that to
//! replicas and AOF as one SLOT.APPLY. A refusal has no events and leaves no trace here.
//! Next: server/stream.rs, server/effects.rs; a replica goes on at command/apply.rs.

use redis_module::{Context, raw};
use slot_core::chain::ChainHash;
use slot_core::ids::ProductId;
use slot_core::sale::{Log, Sale};
use slot_core::units::EventNumber;
use std::mem::ManuallyDrop;

use crate::args::Keys;
use crate::failure::Failure;
use crate::registry;
use crate::server::effects;
use crate::server::key::{For, Key};
use crate::server::state::{database, warn};
use crate::server::stream::{EntryId, FieldNames, Stream};
use crate::server::text::{Text, Word};

thread_local! {
    /// Made at the first write and never freed: the server may be gone when its thread ends.
    static NAMES: ManuallyDrop<FieldNames> = ManuallyDrop::new(FieldNames::new());
}

/// One atomic step on a sale; nothing where there is no sale.
pub(crate) fn write<R>(
    ctx: &Context,
    keys: &Keys<'_>,
    act: impl FnOnce(&mut Sale, &mut Log) -> R,
) -> Result<Option<R>, Failure> {
    let mut key = Key::open(ctx, keys.sale, For::Writing);
    let Some(sale) = sale_in(&mut key, keys.product)? else { return Ok(None) };
    let mut stream = whole_stream(ctx, keys, sale)?;
    let before = sale.head();
    let mut log = Log::default();
    let result = act(sale, &mut log);
    let due = sale.next_due();
    if !log.0.is_empty() {
        record(ctx, keys, &mut stream, before, &log)?;
        registry::changed(database(ctx), keys.product, due);
    }
    Ok(Some(result))
}

/// Makes a sale and its stream. `make` is not called where there is one already.
pub(crate) fn create(
    ctx: &Context,
    keys: &Keys<'_>,
    make: impl FnOnce(&mut Log) -> Result<Sale, Failure>,
) -> Result<(), Failure> {
    let mut key = Key::open(ctx, keys.sale, For::Writing);
    if sale_in(&mut key, keys.product)?.is_some() {
        return Err(Failure::misuse("the sale exists already"));
    }
    let key = key.as_mut().ok_or_else(|| Failure::Internal("the key does not open".into()))?;
    let mut stream = Stream::to_be(Key::open(ctx, keys.stream, For::Writing))?;
    let mut log = Log::default();
    let sale = make(&mut log)?;
    let due = sale.next_due();
    key.set_sale(sale)?;
    record(ctx, keys, &mut stream, ChainHash::origin(&keys.product), &log)?;
    registry::changed(database(ctx), keys.product, due);
    Ok(())
}

/// Puts a whole state in place (SLOT.LOAD). It brings no events, and the stream comes by itself. Refused where
/// the sale there is further on, or is another history of as many events.
pub(crate) fn put(ctx: &Context, keys: &Keys<'_>, new: Sale) -> Result<(), Failure> {
    let mut key = Key::open(ctx, keys.sale, For::Writing);
    if let Some(old) = sale_in(&mut key, keys.product)? {
        let further = old.last_number() > new.last_number();
        let other = old.last_number() == new.last_number() && old.head() != new.head();
        if further || other {
            return Err(Failure::Diverged(format!(
                "the sale here is at event {} with hash {}, the one to load at event {}: DEL this one first if the other shall take its place",
                old.last_number(),
                old.head(),
                new.last_number()
            )));
        }
    }
    let key = key.as_mut().ok_or_else(|| Failure::Internal("the key does not open".into()))?;
    let due = new.next_due();
    key.set_sale(new)?;
    effects::replicate_verbatim(ctx);
    effects::changed(ctx, keys.sale, raw::REDISMODULE_NOTIFY_MODULE, c"slot.load");
    registry::changed(database(ctx), keys.product, due);
    Ok(())
}

/// Drops the stream's entries before event `number`, if that has this hash; answers how many.
pub(crate) fn trim(
    ctx: &Context,
    keys: &Keys<'_>,
    number: EventNumber,
    hash: ChainHash,
) -> Result<i64, Failure> {
    let stream = Stream::existing(Key::open(ctx, keys.stream, For::Writing))?;
    let mut stream = stream.ok_or(Failure::NoStream)?;
    match stream.hash_of(number) {
        Some(found) if found == hash.to_hex() => {}
        Some(found) => {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Err(Failure::Diverged(format!(
                "event {number} of this stream has hash {found}: the sale's history forked"
            )));
        }
        None => {
            return Err(Failure::Diverged(format!("event {number} is not in this stream")));
        }
    }
    let removed = stream.trim_below(number);
    if removed > 0 {
        effects::replicate_verbatim(ctx);
        effects::changed(ctx, keys.stream, raw::REDISMODULE_NOTIFY_STREAM, c"xtrim");
    }
    Ok(removed)
}

/// Removes a deleted sale with its stream, if its history ends with this event. False where there is none.
pub(crate) fn forget(
    ctx: &Context,
    keys: &Keys<'_>,
    number: EventNumber,
    hash: ChainHash,
) -> Result<bool, Failure> {
    let mut key = Key::open(ctx, keys.sale, For::Writing);
    let Some(sale) = sale_in(&mut key, keys.product)? else { return Ok(false) };
    if !sale.is_deleted() {
        return Err(Failure::misuse("only a dropped sale can be forgotten: SLOT.DROP it first"));
    }
    if (sale.last_number(), sale.head()) != (number, hash) {
        return Err(Failure::Diverged(format!(
            "the sale ends with event {} and hash {}",
            sale.last_number(),
            sale.head()
        )));
    }
    if let Some(key) = key.as_mut() {
        key.unlink();
    }
    if let Some(stream) = Stream::existing(Key::open(ctx, keys.stream, For::Writing))? {
        stream.unlink();
        effects::changed(ctx, keys.stream, raw::REDISMODULE_NOTIFY_GENERIC, c"del");
    }
    effects::changed(ctx, keys.sale, raw::REDISMODULE_NOTIFY_GENERIC, c"del");
    effects::replicate_verbatim(ctx);
    registry::gone(database(ctx), keys.product);
    Ok(true)
}

/// Looks at a sale; nothing where there is none.
pub(crate) fn read<R>(
    ctx: &Context,
    product: ProductId,
    name: Word<'_>,
    look: impl FnOnce(&Sale) -> R,
) -> Result<Option<R>, Failure> {
    let mut key = Key::open(ctx, name, For::Reading);
    let Some(sale) = sale_in(&mut key, product)? else {
        registry::gone(database(ctx), product);
        return Ok(None);
    };
    registry::met(database(ctx), product, sale.next_due());
    Ok(Some(look(sale)))
}

fn sale_in(key: &mut Option<Key>, product: ProductId) -> Result<Option<&mut Sale>, Failure> {
    let Some(key) = key else { return Ok(None) };
    let sale = key.sale()?;
    if let Some(other) = sale.as_ref().filter(|sale| sale.product() != product) {
        return Err(Failure::Diverged(format!(
            "the key holds the sale of product {}: it has been renamed",
            other.product()
        )));
    }
    Ok(sale)
}

/// The sale's stream, if it ends where the sale does. Otherwise appending could fail after the state has
/// changed, or the history would have a gap.
fn whole_stream(ctx: &Context, keys: &Keys<'_>, sale: &Sale) -> Result<Stream, Failure> {
    let stream = Stream::existing(Key::open(ctx, keys.stream, For::Writing))?;
    let mut stream = stream.ok_or(Failure::NoStream)?;
    match stream.last() {
        Some(last) if last == EntryId::of(sale.last_number()) => Ok(stream),
        last => Err(Failure::Diverged(format!(
            "the sale is at event {}, its stream ends with {}: restore the one that is behind",
            sale.last_number(),
            last.map_or("no entry at all".to_owned(), |id| format!("entry {id}"))
        ))),
    }
}

/// Appends the events to the stream and replicates them.
fn record(
    ctx: &Context,
    keys: &Keys<'_>,
    stream: &mut Stream,
    before: ChainHash,
    log: &Log,
) -> Result<(), Failure> {
    let lines: Vec<Text> = log.0.iter().map(|entry| Text::new(entry.line.as_bytes())).collect();
    let mut appended = 0;
    let mut outcome = Ok(());
    for (entry, line) in log.0.iter().zip(&lines) {
        let hash = Text::new(&entry.hash.to_hex());
        outcome = NAMES.with(|names| stream.append(entry.number, names, line.word(), hash.word()));
        if let Err(failure) = &outcome {
            // The stream has had a larger id that has been deleted by hand. The state is ahead of it now
            // and stays so: whole_stream refuses every further write until somebody has restored one.
            warn(&format!("{}: {failure}", keys.product));
            break;
        }
        appended += 1;
    }
    if let Some(first) = log.0.first().filter(|_| appended > 0) {
        let number = Text::new(first.number.to_string().as_bytes());
        let before = Text::new(&before.to_hex());
        let mut arguments = vec![keys.sale, keys.stream, number.word(), before.word()];
        arguments.extend(lines.iter().take(appended).map(Text::word));
        effects::replicate(ctx, c"SLOT.APPLY", &arguments);
        effects::changed(ctx, keys.sale, raw::REDISMODULE_NOTIFY_MODULE, c"slot.apply");
        effects::stream_grew(ctx, keys.stream);
    }
    outcome
}
