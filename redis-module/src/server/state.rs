//! What the server is doing: its role, its memory, its database, its log.

use redis_module::{Context, raw};
use std::ffi::CString;
use std::ptr;

use super::api::{api, ok};

/// Whether time may write: on a primary that is not loading and whose writes are not paused. A write during
/// CLIENT PAUSE or a failover would end the server.
pub(crate) fn time_may_write(ctx: &Context) -> bool {
    // SAFETY: the context lives through the call.
    let flags = unsafe { api!(RedisModule_GetContextFlags(ctx.ctx)) }.cast_unsigned();
    let primary = flags & raw::REDISMODULE_CTX_FLAGS_MASTER != 0;
    let loading = flags & raw::REDISMODULE_CTX_FLAGS_LOADING != 0;
    primary && !loading && !writes_are_paused()
}

fn writes_are_paused() -> bool {
    // SAFETY: the pointer was written when the module loaded, and the function has no arguments. Servers
    // without it (before 6.2) can't pause writes.
    unsafe { { raw::RedisModule_AvoidReplicaTraffic }.is_some_and(|paused| paused() != 0) }
}

/// The share of `maxmemory` that is used; 0 where there is no limit.
pub(crate) fn memory_ratio() -> f32 {
    // SAFETY: as above.
    unsafe { { raw::RedisModule_GetUsedMemoryRatio }.map_or(0.0, |ratio| ratio()) }
}

/// The database that the context works on.
pub(crate) fn database(ctx: &Context) -> i32 {
    // SAFETY: the context lives through the call.
    unsafe { api!(RedisModule_GetSelectedDb(ctx.ctx)) }
}

/// Lets the context work on another database.
pub(crate) fn select(ctx: &Context, database: i32) -> bool {
    // SAFETY: as above; a number out of range is refused.
    let status = unsafe { api!(RedisModule_SelectDb(ctx.ctx, database)) };
    ok(status)
}

/// Random hex digits from the server.
pub(crate) fn random_hex() -> [u8; 16] {
    let mut hex = [0_u8; 16];
    // SAFETY: the server writes exactly as many characters as it is told, without a NUL.
    unsafe { api!(RedisModule_GetRandomHexChars(hex.as_mut_ptr().cast(), hex.len())) };
    hex
}

/// Writes a warning to the server's log, with or without a context.
pub(crate) fn warn(text: &str) {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if let Ok(text) = CString::new(text) {
        // SAFETY: both format and argument are C strings; the server allows a null context.
        unsafe {
            api!(RedisModule_Log(
                ptr::null_mut(),
                c"warning".as_ptr(),
                c"<slot> %s".as_ptr(),
                text.as_ptr()
            ))
        }
    }
}
