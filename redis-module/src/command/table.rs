//! Every command, once: name, flags, keys, arity, grammar, what it is for, and the function behind it.
//!
//! `deny-oom` stands at what adds (CREATE, ACQUIRE, MACQUIRE) and nowhere else: finishing and freeing go on when the
//! server is full. Next: border.rs lets a call in, then the command's own file.

use redis_module::{Context, raw};
use std::ffi::{CStr, CString, c_int};
use std::ptr;

use crate::border::{self, Run};
use crate::server::api::{api, ok};

/// Which arguments are keys.
#[derive(Clone, Copy)]
enum Touches {
    /// The sale's key and its stream's.
    Both,
    /// The sale's key.
    Sale,
    /// None.
    Node,
}

struct Command {
    name: &'static CStr,
    flags: &'static CStr,
    keys: Touches,
    /// How many words, the name included; at least so many where it is negative.
    arity: c_int,
    summary: &'static CStr,
    enter: unsafe extern "C" fn(
        *mut raw::RedisModuleCtx,
        *mut *mut raw::RedisModuleString,
        c_int,
    ) -> c_int,
}

macro_rules! commands {
    ($($name:literal, $file:ident, $flags:literal, $keys:ident, $arity:literal, $grammar:literal, $summary:literal;)*) => {
        const COMMANDS: &[Command] = &[$(Command {
            name: $name,
            flags: $flags,
            keys: Touches::$keys,
            arity: $arity,
            summary: $summary,
            enter: {
                unsafe extern "C" fn enter(
                    ctx: *mut raw::RedisModuleCtx,
                    argv: *mut *mut raw::RedisModuleString,
                    argc: c_int,
                ) -> c_int {
                    const RUN: Run = super::$file::run;
                    // SAFETY: the server's own arguments.
                    unsafe { border::enter(ctx, argv, argc, $grammar, RUN) }
                }
                enter
            },
        }),*];
    };
}

commands! {
    c"slot.create", create, c"write deny-oom", Both, -11,
        "SLOT.CREATE sale-key stream-key STOCK n SALEDATE ms NAME s DESCRIPTION s [TTL ms] [WAITLIST n] [LIMIT n] [PAYMENTWINDOW ms] [EXPIRINGSOON ms] [PRICE minor currency] [BY admin] [TRACE id]",
        c"Puts a product on sale";
    c"slot.alter", alter, c"write", Both, -3,
        "SLOT.ALTER sale-key stream-key [NAME s] [DESCRIPTION s] [STOCK +n|-n] [SALEDATE ms] [IF event-number] [BY admin] [TRACE id]",
        c"Changes a product";
    c"slot.pause", pause, c"write", Both, -3,
        "SLOT.PAUSE sale-key stream-key [REASON text] [BY admin] [TRACE id]",
        c"Stops grants and promotions; payments go on";
    c"slot.resume", resume, c"write", Both, -3,
        "SLOT.RESUME sale-key stream-key [BY admin] [TRACE id]",
        c"Lets grants and promotions go on";
    c"slot.close", close, c"write", Both, -3,
        "SLOT.CLOSE sale-key stream-key [BY admin] [TRACE id]",
        c"Ends grants and empties the waitlist for good";
    c"slot.drop", drop, c"write", Both, -3,
        "SLOT.DROP sale-key stream-key [BY admin] [TRACE id]",
        c"Deletes a product that is not in use";
    c"slot.acquire", acquire, c"write deny-oom fast", Both, -4,
        "SLOT.ACQUIRE sale-key stream-key user [WAIT] [NTH k] [ARRIVED ms] [TRACE id]",
        c"Asks for a slot";
    c"slot.macquire", macquire, c"write deny-oom", Both, -8,
        "SLOT.MACQUIRE sale-key stream-key n user wait arrived trace [user wait arrived trace ...]",
        c"Asks for slots for many users, in order";
    c"slot.pay", pay, c"write fast", Both, -9,
        "SLOT.PAY sale-key stream-key slot user idempotency-key minor currency method [TRACE id]",
        c"Starts a payment for a slot";
    c"slot.consume", consume, c"write fast", Both, -5,
        "SLOT.CONSUME sale-key stream-key charge gateway-reference [TRACE id]",
        c"The gateway has the money of a charge";
    c"slot.decline", decline, c"write fast", Both, -5,
        "SLOT.DECLINE sale-key stream-key charge reason [TRACE id]",
        c"The gateway has refused a charge";
    c"slot.expire", expire, c"write", Both, -3,
        "SLOT.EXPIRE sale-key stream-key [LIMIT n] [TRACE id]",
        c"Lets time act on slots that are due";
    c"slot.release", release, c"write fast", Both, -5,
        "SLOT.RELEASE sale-key stream-key slot user [TRACE id]",
        c"The holder gives a slot back";
    c"slot.leave", leave, c"write fast", Both, -4,
        "SLOT.LEAVE sale-key stream-key user [TRACE id]",
        c"A buyer leaves the waitlist";
    c"slot.reclaim", reclaim, c"write fast", Both, -4,
        "SLOT.RECLAIM sale-key stream-key slot [BY admin] [TRACE id]",
        c"An admin takes a slot back";
    c"slot.get", get, c"readonly fast", Sale, 3,
        "SLOT.GET sale-key id",
        c"A slot, a place on the waitlist or a payment";
    c"slot.user", user, c"readonly fast", Sale, 3,
        "SLOT.USER sale-key user",
        c"Everything of one user's in a sale";
    c"slot.sale", sale, c"readonly fast", Sale, 2,
        "SLOT.SALE sale-key",
        c"A sale and its counters";
    c"slot.audit", audit, c"readonly", Sale, 2,
        "SLOT.AUDIT sale-key",
        c"A sale recounted from its slots, with chain head and digest";
    c"slot.mine", mine, c"readonly", Node, 2,
        "SLOT.MINE user",
        c"Everything of one user's in all sales of this node";
    c"slot.changed", changed, c"readonly", Node, -2,
        "SLOT.CHANGED cursor [COUNT n]",
        c"The sales of this node that changed since a cursor";
    c"slot.fence", fence, c"write fast", Both, -3,
        "SLOT.FENCE sale-key stream-key [TRACE id]",
        c"A replicated write that changes nothing, for WAIT";
    c"slot.trim", trim, c"write", Both, -5,
        "SLOT.TRIM sale-key stream-key n hash [TRACE id]",
        c"Drops a stream's entries before event n";
    c"slot.forget", forget, c"write", Both, -5,
        "SLOT.FORGET sale-key stream-key n hash [TRACE id]",
        c"Removes a dropped sale and its stream";
    c"slot.apply", apply, c"write", Both, -6,
        "SLOT.APPLY sale-key stream-key first-n previous-hash line [line ...]",
        c"Applies events that continue a sale's chain";
    c"slot.load", load, c"write", Both, 5,
        "SLOT.LOAD sale-key stream-key version blob",
        c"Puts a sale's whole state in place";
}

/// Makes all commands known to the server. Once, while the module loads.
pub(crate) fn register(ctx: &Context) -> Result<(), String> {
    COMMANDS.iter().try_for_each(|command| register_one(ctx, command))
}

fn register_one(ctx: &Context, command: &Command) -> Result<(), String> {
    let (first, last, step) = match command.keys {
        Touches::Both => (1, 2, 1),
        Touches::Sale => (1, 1, 1),
        Touches::Node => (0, 0, 0),
    };
    let failed = || format!("the server does not take the command {:?}", command.name);
    // SAFETY: the context is the load function's; the server copies name and flags, and the function lives as
    // long as the module.
    let status = unsafe {
        api!(RedisModule_CreateCommand(
            ctx.ctx,
            command.name.as_ptr(),
            Some(command.enter),
            command.flags.as_ptr(),
            first,
            last,
            step
        ))
    };
    if !ok(status) {
        return Err(failed());
    }
    describe(ctx, command).ok_or_else(failed)
}

/// Without this the server knows no arity, and COMMAND no summary. Servers before 7.0 can't be told.
fn describe(ctx: &Context, command: &Command) -> Option<()> {
    // SAFETY: the pointers were written before this module's load function went on.
    let (Some(get), Some(set)) =
        (unsafe { raw::RedisModule_GetCommand }, unsafe { raw::RedisModule_SetCommandInfo })
    else {
        return Some(());
    };
    let version = raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    };
    let since = CString::new(env!("CARGO_PKG_VERSION")).ok()?;
    let info = raw::RedisModuleCommandInfo {
        version: &raw const version,
        summary: command.summary.as_ptr(),
        complexity: ptr::null(),
        since: since.as_ptr(),
        history: ptr::null_mut(),
        tips: ptr::null(),
        arity: command.arity,
        key_specs: ptr::null_mut(),
        args: ptr::null_mut(),
    };
    // SAFETY: the context is the load function's, the name that of a command just made; the server copies what
    // it keeps, the version included in its reading.
    let status = unsafe { set(get(ctx.ctx, command.name.as_ptr()), &raw const info) };
    ok(status).then_some(())
}
