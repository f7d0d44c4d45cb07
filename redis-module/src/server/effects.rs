//! What a write does beside its keys: the commands that replicas and the AOF get, and word to those who
//! watch the keys.

use redis_module::{Context, raw};
use std::ffi::{CStr, c_int};

use super::api::api;
use super::text::Word;

/// Sends a command to the replicas and to the AOF. Call it once in a command: two would be wrapped in
/// MULTI.
pub(crate) fn replicate(ctx: &Context, command: &CStr, arguments: &[Word<'_>]) {
    let mut arguments: Vec<_> = arguments.iter().map(|word| word.as_ptr()).collect();
    // SAFETY: the format "v" takes an array of strings and its length; the server takes references of its
    // own.
    unsafe {
        api!(RedisModule_Replicate(
            ctx.ctx,
            command.as_ptr(),
            c"v".as_ptr(),
            arguments.as_mut_ptr(),
            arguments.len()
        ))
    };
}

/// Sends the command that is running to the replicas and to the AOF, as it came.
pub(crate) fn replicate_verbatim(ctx: &Context) {
    // SAFETY: the context is a running command's.
    unsafe { api!(RedisModule_ReplicateVerbatim(ctx.ctx)) };
}

/// Tells WATCH, client-side caches and subscribers that a key has changed. The module tells the server that
/// it does this itself (load.rs), so a refusal touches nobody.
pub(crate) fn changed(ctx: &Context, key: Word<'_>, class: c_int, event: &CStr) {
    // SAFETY: the context and the name live through the calls.
    unsafe {
        api!(RedisModule_SignalModifiedKey(ctx.ctx, key.as_ptr()));
        api!(RedisModule_NotifyKeyspaceEvent(ctx.ctx, class, event.as_ptr(), key.as_ptr()));
    }
}

/// The stream's key has got entries.
pub(crate) fn stream_grew(ctx: &Context, key: Word<'_>) {
    changed(ctx, key, raw::REDISMODULE_NOTIFY_STREAM, c"xadd");
}
