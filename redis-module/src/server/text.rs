//! The server's strings: borrowed from a command's arguments, or made and freed here. Bytes only; a text
//! with a NUL or without valid UTF-8 is a text like any other.

use redis_module::raw;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use super::api::api;

/// A string that the server holds for as long as the command runs: an argument.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    raw: NonNull<raw::RedisModuleString>,
    alive: PhantomData<&'a raw::RedisModuleString>,
}

impl<'a> Word<'a> {
    /// # Safety
    /// The pointer is a string's that lives at least as long as `'a`.
    pub(crate) unsafe fn new(raw: NonNull<raw::RedisModuleString>) -> Self {
        Self { raw, alive: PhantomData }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        // SAFETY: the string lives for 'a, and the server does not change strings that it has handed out.
        unsafe { bytes(self.raw) }
    }

    pub(crate) fn as_ptr(self) -> *mut raw::RedisModuleString {
        self.raw.as_ptr()
    }
}

/// A string of our own.
pub(crate) struct Text(NonNull<raw::RedisModuleString>);

impl Text {
    /// Copies the bytes into a new string.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        // SAFETY: pointer and length are a slice's. Without a context no automatic memory frees the string a
        // second time.
        let raw = unsafe {
            api!(RedisModule_CreateString(ptr::null_mut(), bytes.as_ptr().cast(), bytes.len()))
        };
        match NonNull::new(raw) {
            Some(raw) => Self(raw),
            // The server's allocator ends the process rather than answer null.
            None => super::api::missing("memory"),
        }
    }

    /// The string as a word, for as long as this owner lives.
    pub(crate) fn word(&self) -> Word<'_> {
        // SAFETY: the string lives as long as `self`.
        unsafe { Word::new(self.0) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and this is the one place that frees it. Whoever of the server's still needs
        // it (replication) has taken a reference.
        unsafe { api!(RedisModule_FreeString(ptr::null_mut(), self.0.as_ptr())) }
    }
}

/// # Safety
/// The string lives as long as `'a`.
pub(super) unsafe fn bytes<'a>(string: NonNull<raw::RedisModuleString>) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the caller's.
    let start = unsafe { api!(RedisModule_StringPtrLen(string.as_ptr(), &raw mut length)) };
    if start.is_null() {
        return &[];
    }
    // SAFETY: the server gives the length that belongs to the pointer.
    unsafe { slice::from_raw_parts(start.cast(), length) }
}
