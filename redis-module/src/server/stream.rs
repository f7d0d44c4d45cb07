//! A sale's event stream: entry n has the id `n-0` and two fields, `e` (the line) and `c` (the chain hash).
//! The wrappers of redis-module 2.0.8 for trimming and iterating are wrong, so these are the raw calls.

use redis_module::raw;
use slot_core::units::EventNumber;
use std::ptr::{self, NonNull};

use super::api::{api, ok};
use super::key::{Holds, Key};
use super::text::{Text, Word, bytes};
use crate::failure::Failure;

/// An id in a stream that may be ours or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId {
    ms: u64,
    seq: u64,
}

impl EntryId {
    pub(crate) const fn of(number: EventNumber) -> Self {
        Self { ms: number.0, seq: 0 }
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The names of an entry's two fields, made once and kept: every entry has them.
pub(crate) struct FieldNames {
    line: Text,
    hash: Text,
}

impl FieldNames {
    pub(crate) fn new() -> Self {
        Self { line: Text::new(b"e"), hash: Text::new(b"c") }
    }
}

/// The key of a stream.
pub(crate) struct Stream(Key);

impl Stream {
    /// The stream at a key opened for writing; `Ok(None)` where there is nothing.
    pub(crate) fn existing(key: Option<Key>) -> Result<Option<Self>, Failure> {
        let Some(key) = key else { return Ok(None) };
        match key.holds() {
            Holds::Nothing => Ok(None),
            Holds::Stream => Ok(Some(Self(key))),
            Holds::Sale | Holds::Other => {
                Err(Failure::WrongType("the stream's key holds something that is not a stream"))
            }
        }
    }

    /// A key at which there is nothing; the first entry makes the stream.
    pub(crate) fn to_be(key: Option<Key>) -> Result<Self, Failure> {
        let key = key.ok_or_else(|| Failure::Internal("the stream's key does not open".into()))?;
        match key.holds() {
            Holds::Nothing => Ok(Self(key)),
            Holds::Sale | Holds::Stream | Holds::Other => Err(Failure::Diverged(
                "there is no sale but something at its stream's key: look at it, then DEL or restore it"
                    .to_owned(),
            )),
        }
    }

    /// Appends event `number`. Fails where the stream has had an id as large, and then is as it was.
    pub(crate) fn append(
        &mut self,
        number: EventNumber,
        names: &FieldNames,
        line: Word<'_>,
        hash: Word<'_>,
    ) -> Result<(), Failure> {
        let mut id = raw::RedisModuleStreamID { ms: number.0, seq: 0 };
        let mut fields =
            [names.line.word().as_ptr(), line.as_ptr(), names.hash.word().as_ptr(), hash.as_ptr()];
        // SAFETY: the key is open for writing and holds a stream or nothing; `fields` has two pairs.
        let status = unsafe {
            api!(RedisModule_StreamAdd(self.0.as_ptr(), 0, &raw mut id, fields.as_mut_ptr(), 2))
        };
        if ok(status) {
            Ok(())
        } else {
            Err(Failure::Diverged(format!("the sale's stream does not take event {number}")))
        }
    }

    /// The id of the last entry.
    pub(crate) fn last(&mut self) -> Option<EntryId> {
        let reverse = raw::REDISMODULE_STREAM_ITERATOR_REVERSE;
        let mut entries = Entries::start(&mut self.0, reverse, None)?;
        entries.next().map(|(id, _)| id)
    }

    /// The chain hash that event `number`'s entry holds, or nothing where the entry is missing.
    pub(crate) fn hash_of(&mut self, number: EventNumber) -> Option<Vec<u8>> {
        let mut entries = Entries::start(&mut self.0, 0, Some(EntryId::of(number)))?;
        let (_, fields) = entries.next()?;
        (0..fields).find_map(|_| entries.field().filter(|(name, _)| name == b"c").map(|(_, v)| v))
    }

    /// Removes all entries before `number`; answers how many.
    pub(crate) fn trim_below(&mut self, number: EventNumber) -> i64 {
        let mut id = raw::RedisModuleStreamID { ms: number.0, seq: 0 };
        // SAFETY: the key is open for writing and holds a stream.
        unsafe { api!(RedisModule_StreamTrimByID(self.0.as_ptr(), 0, &raw mut id)) }
    }

    pub(crate) fn unlink(mut self) {
        self.0.unlink();
    }
}

/// A walk over entries; ends when dropped.
struct Entries<'a>(&'a mut Key);

impl<'a> Entries<'a> {
    fn start(key: &'a mut Key, flags: u32, only: Option<EntryId>) -> Option<Self> {
        let mut id = only.map(|id| raw::RedisModuleStreamID { ms: id.ms, seq: id.seq });
        let id = id.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let flags = i32::try_from(flags).unwrap_or_default();
        // SAFETY: the key is open and holds a stream; the server copies the ids.
        let status = unsafe { api!(RedisModule_StreamIteratorStart(key.as_ptr(), flags, id, id)) };
        ok(status).then_some(Self(key))
    }

    fn next(&mut self) -> Option<(EntryId, i64)> {
        let mut id = raw::RedisModuleStreamID { ms: 0, seq: 0 };
        let mut fields = 0;
        // SAFETY: the walk has been started on this key, and both pointers are valid.
        let status = unsafe {
            api!(RedisModule_StreamIteratorNextID(self.0.as_ptr(), &raw mut id, &raw mut fields))
        };
        ok(status).then_some((EntryId { ms: id.ms, seq: id.seq }, fields))
    }

    fn field(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut name, mut value) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: as in `next`, which has been called before.
        let status = unsafe {
            api!(RedisModule_StreamIteratorNextField(
                self.0.as_ptr(),
                &raw mut name,
                &raw mut value
            ))
        };
        if !ok(status) {
            return None;
        }
        Some((taken(name)?, taken(value)?))
    }
}

impl Drop for Entries<'_> {
    fn drop(&mut self) {
        // SAFETY: started by `start`, stopped once, before the key is closed.
        unsafe { api!(RedisModule_StreamIteratorStop(self.0.as_ptr())) };
    }
}

/// Copies and frees a string that the server made for us.
fn taken(string: *mut raw::RedisModuleString) -> Option<Vec<u8>> {
    let string = NonNull::new(string)?;
    // SAFETY: the server has just made the string.
    let copy = unsafe { bytes(string) }.to_vec();
    // SAFETY: it is ours to free (the context has no automatic memory), and nobody refers to it any more.
    unsafe { api!(RedisModule_FreeString(ptr::null_mut(), string.as_ptr())) };
    Some(copy)
}
