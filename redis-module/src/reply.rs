//! How an outcome leaves: core's `wire::Value` as RESP2 or RESP3, whichever the client speaks. Texts go as
//! bulk strings, which may hold any byte.

use redis_module::Context;
use slot_core::wire::Value;
use std::ffi::{CString, c_char, c_long};

use crate::failure::Failure;
use crate::server::api::api;

/// What a command answers: an outcome, or an error where it was misused.
pub(crate) type Reply = Result<Value, Failure>;

/// Sends a reply. Exactly once in a command.
pub(crate) fn send(ctx: &Context, reply: &Reply) {
    match reply {
        Ok(value) => send_value(ctx, value),
        Err(failure) => send_error(ctx, &failure.to_string()),
    }
}

fn send_value(ctx: &Context, value: &Value) {
    match value {
        // SAFETY: the context is a running command's.
        Value::Null => unsafe {
            api!(RedisModule_ReplyWithNull(ctx.ctx));
        },
        // SAFETY: as above.
        Value::Int(number) => unsafe {
            api!(RedisModule_ReplyWithLongLong(ctx.ctx, *number));
        },
        Value::Text(text) => send_text(ctx, text),
        Value::List(items) => {
            // SAFETY: as above; as many items follow.
            unsafe { api!(RedisModule_ReplyWithArray(ctx.ctx, length(items))) };
            items.iter().for_each(|item| send_value(ctx, item));
        }
        Value::Map(pairs) => {
            // SAFETY: as above; as many pairs follow. In RESP2 the server makes it a flat array.
            unsafe { api!(RedisModule_ReplyWithMap(ctx.ctx, length(pairs))) };
            for (key, value) in pairs {
                send_text(ctx, key);
                send_value(ctx, value);
            }
        }
        Value::Error(text) => send_error(ctx, text),
    }
}

fn length<T>(items: &[T]) -> c_long {
    c_long::try_from(items.len()).unwrap_or(c_long::MAX)
}

fn send_text(ctx: &Context, text: &str) {
    // SAFETY: the context is a running command's; the server copies the bytes.
    unsafe {
        api!(RedisModule_ReplyWithStringBuffer(ctx.ctx, text.as_ptr().cast::<c_char>(), text.len()))
    };
}

fn send_error(ctx: &Context, text: &str) {
    // An error is one line and a C string.
    let line: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let line = CString::new(line).unwrap_or_default();
    // SAFETY: the context is a running command's; the server copies the text.
    unsafe { api!(RedisModule_ReplyWithError(ctx.ctx, line.as_ptr())) };
}
