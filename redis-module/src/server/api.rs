//! Calls into the server. Its functions arrive as pointers when the module loads, each of which an older
//! server may leave empty; load.rs refuses to load without those that are [`REQUIRED`].

use redis_module::raw;
use std::ffi::c_int;

/// Calls a function of the server's interface. Callers stand in `unsafe` and say why that is sound.
macro_rules! api {
    ($name:ident($($argument:expr),* $(,)?)) => {
        match redis_module::raw::$name {
            Some(function) => function($($argument),*),
            None => $crate::server::api::missing(stringify!($name)),
        }
    };
}
pub(crate) use api;

/// Whether a call says that it went well.
pub(crate) fn ok(status: c_int) -> bool {
    isize::try_from(status) == Ok(raw::REDISMODULE_OK)
}

/// Never reached after a load that succeeded; the border would answer an error.
#[cold]
#[expect(clippy::panic, reason = "load.rs has looked; and the border catches it")]
pub(crate) fn missing(name: &'static str) -> ! {
    panic!("this server has no {name}")
}

macro_rules! required {
    ($($name:ident),* $(,)?) => {
        /// The names of functions that the module can't do without and this server does not have.
        pub(crate) fn missing_functions() -> Vec<&'static str> {
            let mut missing = Vec::new();
            $(
                // SAFETY: the pointers are written once, before this module's load function goes on.
                if unsafe { raw::$name }.is_none() {
                    missing.push(stringify!($name));
                }
            )*
            missing
        }
    };
}

required!(
    RedisModule_CloseKey,
    RedisModule_CreateCommand,
    RedisModule_CreateDataType,
    RedisModule_CreateString,
    RedisModule_CreateTimer,
    RedisModule_DigestAddStringBuffer,
    RedisModule_DigestEndSequence,
    RedisModule_EmitAOF,
    RedisModule_FreeString,
    RedisModule_GetContextFlags,
    RedisModule_GetDbIdFromIO,
    RedisModule_GetKeyNameFromIO,
    RedisModule_GetRandomHexChars,
    RedisModule_GetSelectedDb,
    RedisModule_IsIOError,
    RedisModule_KeyType,
    RedisModule_LoadStringBuffer,
    RedisModule_ModuleTypeGetType,
    RedisModule_ModuleTypeGetValue,
    RedisModule_ModuleTypeSetValue,
    RedisModule_NotifyKeyspaceEvent,
    RedisModule_OpenKey,
    RedisModule_Replicate,
    RedisModule_ReplicateVerbatim,
    RedisModule_ReplyWithArray,
    RedisModule_ReplyWithError,
    RedisModule_ReplyWithLongLong,
    RedisModule_ReplyWithMap,
    RedisModule_ReplyWithNull,
    RedisModule_ReplyWithStringBuffer,
    RedisModule_SaveStringBuffer,
    RedisModule_SelectDb,
    RedisModule_SetModuleOptions,
    RedisModule_SignalModifiedKey,
    RedisModule_StreamAdd,
    RedisModule_StreamIteratorNextField,
    RedisModule_StreamIteratorNextID,
    RedisModule_StreamIteratorStart,
    RedisModule_StreamIteratorStop,
    RedisModule_StreamTrimByID,
    RedisModule_StringPtrLen,
    RedisModule_SubscribeToServerEvent,
    RedisModule_UnlinkKey,
);
