//! INFO slot: what this node has answered since it started. Refusals change nothing and write no event; here
//! they are counted.

use redis_module::{Context, raw};
use slot_core::wire::AcquireReply;
use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::border::shield;
use crate::registry;
use crate::server::api::{api, ok};

macro_rules! outcomes {
    ($($variant:pat => $index:literal $field:literal),* $(,)?) => {
        const FIELDS: &[&CStr] = &[$($field),*];

        fn index(reply: &AcquireReply) -> usize {
            match reply { $($variant => $index),* }
        }
    };
}

outcomes! {
    AcquireReply::Acquired(_) => 0 c"acquired",
    AcquireReply::Held(_) => 1 c"held",
    AcquireReply::Waiting { .. } => 2 c"waiting",
    AcquireReply::SoldOut => 3 c"refused_sold_out",
    AcquireReply::WaitlistFull => 4 c"refused_waitlist_full",
    AcquireReply::NotOpen { .. } => 5 c"refused_not_open",
    AcquireReply::Paused => 6 c"refused_paused",
    AcquireReply::Closed => 7 c"refused_closed",
    AcquireReply::Limit => 8 c"refused_limit",
    AcquireReply::Backlog => 9 c"refused_backlog",
    AcquireReply::NoSale => 10 c"refused_no_sale",
    AcquireReply::Full => 11 c"refused_full",
}

static COUNTS: [AtomicU64; FIELDS.len()] = [const { AtomicU64::new(0) }; FIELDS.len()];

/// Counts an answer to an acquire.
pub(crate) fn count(reply: &AcquireReply) {
    if let Some(count) = COUNTS.get(index(reply)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes the section known to the server. Once, while the module loads.
pub(crate) fn register(ctx: &Context) -> bool {
    // SAFETY: the context is the load function's, and the callback lives as long as the module.
    let status = unsafe { api!(RedisModule_RegisterInfoFunc(ctx.ctx, Some(on_info))) };
    ok(status)
}

unsafe extern "C" fn on_info(info: *mut raw::RedisModuleInfoCtx, _crashed: c_int) {
    shield("INFO", (), || {
        let add = |field: &CStr, number: u64| {
            // SAFETY: the server's own argument and a C string that it copies.
            unsafe { api!(RedisModule_InfoAddFieldULongLong(info, field.as_ptr(), number)) };
        };
        // SAFETY: as above; an empty name makes the section `slot`.
        unsafe { api!(RedisModule_InfoAddSection(info, c"".as_ptr())) };
        add(c"sales", u64::try_from(registry::count()).unwrap_or(u64::MAX));
        for (field, count) in FIELDS.iter().zip(&COUNTS) {
            add(field, count.load(Ordering::Relaxed));
        }
    });
}
