//! What happens when the server loads the module: it checks that it can work here, then makes type,
//! commands, INFO section and sweeper known. A `false` or an error keeps the module, and with it the
//! server's start, from going on.

use redis_module::{Context, RedisString, RedisValue, Status, raw};

use crate::border::{log_panics, shield};
use crate::command::table;
use crate::server::api::{api, missing_functions};
use crate::server::state::warn;
use crate::{clock, info, kind, sweeper};

/// Called by the macro in lib.rs.
pub(crate) fn on_load(ctx: &Context, args: &[RedisString]) -> Status {
    log_panics();
    let failed = || Err("a panic while loading".to_owned());
    match shield("loading", failed(), || set_up(ctx, args)) {
        Ok(()) => Status::Ok,
        Err(why) => {
            warn(&format!("the module is not loaded: {why}"));
            Status::Err
        }
    }
}

fn set_up(ctx: &Context, args: &[RedisString]) -> Result<(), String> {
    let missing = missing_functions();
    if !missing.is_empty() {
        return Err(format!("Redis 7.0 or newer is needed, this server has no {missing:?}"));
    }
    match args {
        [] => {}
        [name, file] if name.as_slice() == b"TESTCLOCK" => {
            warn(&format!(
                "a test's clock: time is what {file} says, and nothing expires by itself"
            ));
            clock::follow(file.to_string_lossy().into());
        }
        _ => return Err("it takes no arguments but TESTCLOCK file, for tests".to_owned()),
    }
    check_eviction(ctx)?;
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED;
    // SAFETY: the context is the load function's. kind.rs checks for I/O errors; effects.rs tells of changes.
    unsafe { api!(RedisModule_SetModuleOptions(ctx.ctx, options as i32)) };
    let done = |done: bool, what: &str| done.then_some(()).ok_or(format!("no {what}"));
    done(kind::register(ctx), "type slot-sale")?;
    table::register(ctx)?;
    done(info::register(ctx), "INFO section")?;
    done(sweeper::start(ctx), "watch over the sweeper")
}

/// Under allkeys-… the server deletes sales, with everything that was promised in them, when it is full.
fn check_eviction(ctx: &Context) -> Result<(), String> {
    let Ok(RedisValue::Array(answer)) = ctx.call("CONFIG", &["GET", "maxmemory-policy"]) else {
        warn("can't read maxmemory-policy: see to it that it is not allkeys-…");
        return Ok(());
    };
    let policy = match answer.as_slice() {
        [_, RedisValue::BulkString(policy)] => policy.as_str(),
        [_, RedisValue::SimpleString(policy)] => policy.as_str(),
        _ => "",
    };
    if policy.starts_with("allkeys-") {
        return Err(format!(
            "under maxmemory-policy {policy} the server would delete sales; set noeviction"
        ));
    }
    Ok(())
}
