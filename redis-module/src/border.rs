//! The border with the server: no panic crosses it. Commands come in through [`enter`], timers, events and
//! type callbacks through [`shield`]; what panics is logged and answered with an error, and the server goes
//! on. Next: command/table.rs, then the command's own file.

use redis_module::{Context, raw};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::slice;

use crate::args::Args;
use crate::failure::Failure;
use crate::reply::{self, Reply};
use crate::server::state::warn;

/// What a command's file exports.
pub(crate) type Run = fn(&Context, Args<'_>) -> Reply;

/// Runs a command and sends its reply.
///
/// # Safety
/// The arguments are those with which the server calls a command.
pub(crate) unsafe fn enter(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
    grammar: &'static str,
    run: Run,
) -> c_int {
    let context = Context::new(ctx);
    let reply = shield(grammar, None, || {
        let count = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the server's array of arguments; none of them is null, and all live through the command.
        let words =
            unsafe { slice::from_raw_parts(argv.cast::<NonNull<raw::RedisModuleString>>(), count) };
        Some(run(&context, Args::new(grammar, words)))
    });
    let reply = reply.unwrap_or_else(|| Err(Failure::Internal(format!("in {grammar}"))));
    shield("a reply", (), || reply::send(&context, &reply));
    raw::REDISMODULE_OK as c_int
}

/// Runs something that the server has called; answers `otherwise` if it panics. What it was working on
/// may be half done then: a sale whose stream does not end with its last event takes no more writes.
pub(crate) fn shield<R>(what: &str, otherwise: R, run: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(_) => {
            // The hook below has logged the reason; a second panic here would be the last.
            let _ = catch_unwind(|| warn(&format!("caught a panic in {what}")));
            otherwise
        }
    }
}

/// Has panics written to the server's log, with their place.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| warn(&format!("panic: {panic}"))));
}
