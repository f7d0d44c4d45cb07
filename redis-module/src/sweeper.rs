//! What makes time act by itself (R4: within a second). Correctness does not rest on it: every command lets
//! time act on its sale first.
//!
//! One chain of timers per node: about ten ticks a second, and one every 4 ms while something is due. A tick
//! takes the sale that is due the longest and lets time act on some of its slots, then the next, until a
//! millisecond is over. The server's module timers follow the wall clock, so a step back would stall the
//! chain; the server's own cron follows the monotonic clock and starts a new chain then.

use redis_module::{Context, raw};
use slot_core::units::{Millis, UnixMillis};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::args::Keys;
use crate::border::shield;
use crate::clock;
use crate::registry::{self, At};
use crate::server::api::{api, ok};
use crate::server::state::{select, time_may_write};
use crate::server::text::Text;
use crate::store;

const CALM: i64 = 100;
const BUSY: i64 = 4;
/// A tick takes no step after this.
const BUDGET: Duration = Duration::from_micros(800);
/// How many slots a step ends, so that no step takes longer than what is left of a millisecond.
const STEP: u32 = 32;
/// When to look again at a sale that can't be written: its stream is missing or does not fit.
const LATER: Millis = Millis(1000);
/// After this without a tick the chain of timers has stalled.
const STALLED: Duration = Duration::from_millis(250);

/// Which chain of timers is the living one; an older one's timer ends without a successor.
static CHAIN: AtomicU64 = AtomicU64::new(0);
static TICKED: LazyLock<Mutex<Instant>> = LazyLock::new(|| Mutex::new(Instant::now()));

/// Starts the chain and the watch over it. Once, while the module loads.
pub(crate) fn start(ctx: &Context) -> bool {
    arm(ctx, CALM);
    let cron = raw::RedisModuleEvent { id: raw::REDISMODULE_EVENT_CRON_LOOP, dataver: 1 };
    // SAFETY: the context is the load function's, and the callback is of the event's type.
    let status = unsafe { api!(RedisModule_SubscribeToServerEvent(ctx.ctx, cron, Some(on_cron))) };
    ok(status)
}

/// Sets the chain's next timer. Timers are never stopped: they come and find their chain is over.
fn arm(ctx: &Context, millis: i64) {
    let chain = usize::try_from(CHAIN.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    let data = ptr::without_provenance_mut(chain);
    // SAFETY: the context lives through the call; the callback takes the data for a number.
    unsafe { api!(RedisModule_CreateTimer(ctx.ctx, millis, Some(on_timer), data)) };
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, data: *mut c_void) {
    let ctx = Context::new(ctx);
    if u64::try_from(data.addr()).ok() != Some(CHAIN.load(Ordering::Relaxed)) {
        return;
    }
    let pause = shield("the sweeper", CALM, || tick(&ctx));
    shield("the sweeper's timer", (), || arm(&ctx, pause));
}

unsafe extern "C" fn on_cron(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _sub: u64,
    _data: *mut c_void,
) {
    shield("the sweeper's watch", (), || {
        let ticked = *TICKED.lock().unwrap_or_else(PoisonError::into_inner);
        if ticked.elapsed() > STALLED {
            CHAIN.fetch_add(1, Ordering::Relaxed);
            touch();
            arm(&Context::new(ctx), 0);
        }
    });
}

fn touch() {
    *TICKED.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

/// One tick; answers after how many milliseconds the next shall be.
fn tick(ctx: &Context) -> i64 {
    touch();
    if !time_may_write(ctx) || clock::is_followed() {
        return CALM;
    }
    let began = Instant::now();
    let now = clock::now();
    loop {
        let Some(at) = registry::first_due(now) else { return CALM };
        let done = shield("a sweep", false, || {
            step(ctx, at, now);
            true
        });
        if !done {
            registry::due(at, Some(now.plus(LATER)));
        }
        if began.elapsed() >= BUDGET {
            return BUSY;
        }
    }
}

/// Lets time act on a sale, a little.
fn step(ctx: &Context, at: At, now: UnixMillis) {
    let (database, product) = at;
    let (sale, stream) = (product.sale_key(), product.stream_key());
    let (sale, stream) = (Text::new(sale.as_bytes()), Text::new(stream.as_bytes()));
    let keys = Keys { product, sale: sale.word(), stream: stream.word() };
    let written = if select(ctx, database) {
        store::write(ctx, &keys, |sale, log| {
            sale.advance(now, STEP, log);
            (sale.next_due(), log.0.is_empty())
        })
    } else {
        Ok(None)
    };
    match written {
        // Behind those that are overdue now, however far behind this one is: none waits for all of another.
        Ok(Some((due, false))) => registry::due(at, due.map(|due| due.max(now))),
        // Where nothing could be done although something is due, others get their turn.
        Ok(Some((due, true))) => registry::due(at, due.map(|due| due.max(now.plus(LATER)))),
        Ok(None) => registry::gone(database, product),
        Err(_) => registry::due(at, Some(now.plus(LATER))),
    }
}
