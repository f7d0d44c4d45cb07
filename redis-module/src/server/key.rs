//! An open key: what is at it, and the sale in it. Closed when dropped. stream.rs has what streams can do.

use redis_module::{Context, raw};
use slot_core::sale::Sale;
use std::ptr::NonNull;

use super::api::{api, ok};
use super::text::Word;
use crate::failure::Failure;
use crate::kind;

/// What is at a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    Sale,
    Stream,
    Other,
}

/// What a key is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
}

/// An open key.
pub(crate) struct Key(NonNull<raw::RedisModuleKey>);

impl Key {
    /// Opens a key; there is nothing to open where it is read and missing.
    pub(crate) fn open(ctx: &Context, name: Word<'_>, purpose: For) -> Option<Self> {
        let mode = match purpose {
            For::Reading => raw::REDISMODULE_READ,
            For::Writing => raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        };
        let mode = i32::try_from(mode).unwrap_or_default();
        // SAFETY: the context and the name live through the call; the server keeps its own reference to the
        // name.
        let key = unsafe { api!(RedisModule_OpenKey(ctx.ctx, name.as_ptr(), mode)) };
        NonNull::new(key.cast()).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut raw::RedisModuleKey {
        self.0.as_ptr()
    }

    pub(crate) fn holds(&self) -> Holds {
        // SAFETY: the key is open.
        let kind = unsafe { api!(RedisModule_KeyType(self.as_ptr())) };
        match isize::try_from(kind).unwrap_or(-1) {
            raw::REDISMODULE_KEYTYPE_EMPTY => Holds::Nothing,
            raw::REDISMODULE_KEYTYPE_STREAM => Holds::Stream,
            raw::REDISMODULE_KEYTYPE_MODULE if self.module_type() == kind::raw() => Holds::Sale,
            _ => Holds::Other,
        }
    }

    fn module_type(&self) -> *mut raw::RedisModuleType {
        // SAFETY: the key is open.
        unsafe { api!(RedisModule_ModuleTypeGetType(self.as_ptr())) }
    }

    /// The sale at this key, or nothing where the key is missing.
    pub(crate) fn sale(&mut self) -> Result<Option<&mut Sale>, Failure> {
        match self.holds() {
            Holds::Nothing => Ok(None),
            Holds::Sale => {
                // SAFETY: the type is ours, so the value is a Sale that kind.rs boxed. Nobody else has a
                // reference: the server runs one command at a time, a command opens a sale's key once, and
                // the reference can't outlive the open key.
                Ok(unsafe {
                    api!(RedisModule_ModuleTypeGetValue(self.as_ptr())).cast::<Sale>().as_mut()
                })
            }
            Holds::Stream | Holds::Other => {
                Err(Failure::WrongType("the sale's key holds something that is not a sale"))
            }
        }
    }

    /// Puts a sale at this key, in place of whatever is there.
    pub(crate) fn set_sale(&mut self, sale: Sale) -> Result<(), Failure> {
        let value = Box::into_raw(Box::new(sale));
        // SAFETY: the key is open for writing, and the value is of the type that kind.rs frees.
        let status = unsafe {
            api!(RedisModule_ModuleTypeSetValue(self.as_ptr(), kind::raw(), value.cast()))
        };
        if ok(status) {
            return Ok(());
        }
        // SAFETY: the server has not taken the value.
        drop(unsafe { Box::from_raw(value) });
        Err(Failure::Internal("the server does not let the key be written".to_owned()))
    }

    /// Removes what is at the key; the server may free it on another thread.
    pub(crate) fn unlink(&mut self) {
        // SAFETY: the key is open for writing. A failure means that there was nothing.
        unsafe { api!(RedisModule_UnlinkKey(self.as_ptr())) };
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once.
        unsafe { api!(RedisModule_CloseKey(self.as_ptr())) }
    }
}
