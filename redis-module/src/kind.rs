//! The native type `slot-sale`: how the server saves, loads, copies, measures and frees a sale. All of it is
//! core's blob (sale/blob.rs); nothing here changes a sale, for `rdb_save` and `aof_rewrite` run in a fork.

use redis_module::{Context, raw};
use slot_core::ids::ProductId;
use slot_core::sale::{BLOB_VERSION, Sale};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::border::shield;
use crate::registry;
use crate::server::api::api;
use crate::server::state::warn;
use crate::server::text::Word;

/// The server tells types apart by exactly nine characters.
const NAME: &std::ffi::CStr = c"slot-sale";

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The type, as the server knows it.
pub(crate) fn raw() -> *mut raw::RedisModuleType {
    TYPE.load(Ordering::Relaxed)
}

/// Makes the type known to the server. Once, while the module loads.
pub(crate) fn register(ctx: &Context) -> bool {
    let mut methods = raw::RedisModuleTypeMethods {
        version: u64::from(raw::REDISMODULE_TYPE_METHOD_VERSION),
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: Some(free_effort),
        unlink: None,
        copy: None,
        defrag: None,
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: Some(copy),
        aux_save2: None,
    };
    let version = c_int::try_from(BLOB_VERSION).unwrap_or(c_int::MAX);
    // SAFETY: the context is the load function's, and the server copies name and methods.
    let made = unsafe {
        api!(RedisModule_CreateDataType(ctx.ctx, NAME.as_ptr(), version, &raw mut methods))
    };
    TYPE.store(made, Ordering::Relaxed);
    !made.is_null()
}

/// # Safety
/// `value` is one that this type's `rdb_load`, `copy` or [`crate::server::key::Key::set_sale`] has handed to
/// the server and that the server has not freed.
unsafe fn sale<'a>(value: *const c_void) -> &'a Sale {
    // SAFETY: the caller's: it is a boxed Sale.
    unsafe { &*value.cast::<Sale>() }
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, version: c_int) -> *mut c_void {
    shield("rdb_load", ptr::null_mut(), || {
        // SAFETY: the server calls this with an io that has a sale's blob next.
        let Some(blob) = (unsafe { load_blob(io) }) else {
            return ptr::null_mut();
        };
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        let sale = match Sale::from_blob(version, &blob) {
            Ok(sale) => sale,
            Err(why) => {
                warn(&format!("a sale can't be loaded (encoding version {version}): {why}"));
                return ptr::null_mut();
            }
        };
        // SAFETY: as above.
        let (database, name) = unsafe {
            (api!(RedisModule_GetDbIdFromIO(io)), api!(RedisModule_GetKeyNameFromIO(io)))
        };
        register_if_named(database, name, &sale);
        Box::into_raw(Box::new(sale)).cast()
    })
}

/// # Safety
/// `io` is one that the server hands to `rdb_load`.
unsafe fn load_blob(io: *mut raw::RedisModuleIO) -> Option<Vec<u8>> {
    let mut length = 0;
    // SAFETY: the caller's, and `length` is valid.
    let start = unsafe { api!(RedisModule_LoadStringBuffer(io, &raw mut length)) };
    // SAFETY: as above.
    if start.is_null() || unsafe { api!(RedisModule_IsIOError(io)) } != 0 {
        warn("a sale can't be loaded: the file or the primary's stream ends early");
        return None;
    }
    // SAFETY: the server gives the length that belongs to the buffer.
    let blob = unsafe { slice::from_raw_parts(start.cast::<u8>(), length) }.to_vec();
    // SAFETY: the buffer is ours to free.
    unsafe { api!(RedisModule_Free(start.cast())) };
    Some(blob)
}

/// Enters a sale that has just come in the registry, unless it lies under a name at which no command will
/// look for it.
fn register_if_named(database: c_int, name: *const raw::RedisModuleString, sale: &Sale) {
    let Some(name) = NonNull::new(name.cast_mut()) else { return };
    // SAFETY: the server's name of the key lives through the callback.
    let name = unsafe { Word::new(name) }.bytes();
    if named(name, &sale.product()) {
        registry::changed(database, sale.product(), sale.next_due());
    }
}

fn named(name: &[u8], product: &ProductId) -> bool {
    name == product.sale_key().as_bytes()
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    shield("rdb_save", (), || {
        // SAFETY: the server hands a value of this type.
        let blob = unsafe { sale(value) }.to_blob();
        // SAFETY: pointer and length are a slice's.
        unsafe { api!(RedisModule_SaveStringBuffer(io, blob.as_ptr().cast(), blob.len())) };
    });
}

/// The stream is a native key: the server rewrites it by itself.
unsafe extern "C" fn aof_rewrite(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    shield("aof_rewrite", (), || {
        // SAFETY: the server hands a value of this type.
        let sale = unsafe { sale(value) };
        let stream = sale.product().stream_key();
        let blob = sale.to_blob();
        // SAFETY: the format names a string, a buffer with its length, a number, a buffer with its length.
        unsafe {
            api!(RedisModule_EmitAOF(
                io,
                c"SLOT.LOAD".as_ptr(),
                c"sblb".as_ptr(),
                key,
                stream.as_ptr().cast::<c_char>(),
                stream.len(),
                std::ffi::c_longlong::from(BLOB_VERSION),
                blob.as_ptr().cast::<c_char>(),
                blob.len()
            ));
        }
    });
}

unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    // SAFETY: the server hands a value of this type.
    shield("mem_usage", 0, || unsafe { sale(value) }.memory())
}

unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    shield("digest", (), || {
        // SAFETY: the server hands a value of this type.
        let hash = unsafe { sale(value) }.digest();
        let hash = hash.as_bytes();
        // SAFETY: pointer and length are a slice's.
        unsafe {
            api!(RedisModule_DigestAddStringBuffer(digest, hash.as_ptr().cast(), hash.len()));
            api!(RedisModule_DigestEndSequence(digest));
        }
    });
}

/// May run on the server's thread for lazy frees; touches nothing but the sale.
unsafe extern "C" fn free(value: *mut c_void) {
    shield("free", (), || {
        if !value.is_null() {
            // SAFETY: the value is a boxed Sale, and the server frees it once.
            drop(unsafe { Box::from_raw(value.cast::<Sale>()) });
        }
    });
}

/// Above 64 the server frees a value on another thread.
unsafe extern "C" fn free_effort(_key: *mut raw::RedisModuleString, value: *const c_void) -> usize {
    shield("free_effort", 1, || {
        // SAFETY: the server hands a value of this type.
        let places = unsafe { sale(value) }.arrivals();
        usize::try_from(places).unwrap_or(usize::MAX).saturating_add(1)
    })
}

/// COPY works into another database; under another name no command could reach the sale, nor could an AOF
/// without preamble bring it back, so the server answers an error there.
unsafe extern "C" fn copy(
    names: *mut raw::RedisModuleKeyOptCtx,
    value: *const c_void,
) -> *mut c_void {
    shield("copy", ptr::null_mut(), || {
        // SAFETY: the server hands its names and a value of this type.
        let (database, name, sale) = unsafe {
            (
                api!(RedisModule_GetToDbIdFromOptCtx(names)),
                api!(RedisModule_GetToKeyNameFromOptCtx(names)),
                sale(value),
            )
        };
        let right = NonNull::new(name.cast_mut())
            // SAFETY: the name lives through the callback.
            .is_some_and(|name| named(unsafe { Word::new(name) }.bytes(), &sale.product()));
        if !right {
            return ptr::null_mut();
        }
        registry::changed(database, sale.product(), sale.next_due());
        Box::into_raw(Box::new(sale.clone())).cast()
    })
}
