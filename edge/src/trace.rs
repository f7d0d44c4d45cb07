//! The trace id of a request: the caller's, if it is well formed, or a new one.
//! Next: router.rs echoes it on every answer; the module writes it into every event.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use rand::Rng;
use slot_core::ids::TraceId;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// The caller's trace id, or 32 random hex digits.
pub(crate) fn of(headers: &HeaderMap) -> TraceId {
    headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| TraceId::parse(text).ok())
        .unwrap_or_else(new)
}

pub(crate) fn new() -> TraceId {
    let random: u128 = rand::rng().random();
    loop {
        // 32 hex digits are always well formed; the loop only spares a panic path.
        if let Ok(trace) = TraceId::parse(&format!("{random:032x}")) {
            return trace;
        }
    }
}

/// The header's value; a trace id's alphabet always fits.
pub(crate) fn header_value(trace: &TraceId) -> HeaderValue {
    HeaderValue::from_str(trace.as_str()).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
