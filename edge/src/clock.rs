//! The edge's wall clock. It stamps when a request arrived, and judges tokens and signatures; what time it
//! is in a sale only the module says.

use std::time::{SystemTime, UNIX_EPOCH};

use slot_core::units::UnixMillis;

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn seconds(at: UnixMillis) -> u64 {
    at.0 / 1_000
}
