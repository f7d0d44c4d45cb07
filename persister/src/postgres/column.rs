//! How our types become what Postgres's columns take.

use uuid::Uuid;

use slot_core::ids::{PaymentId, ProductId, SlotId};
use slot_core::units::UnixMillis;

/// The last millisecond of the year 9999; a later time is written as this one.
const LATEST_MS: u64 = 253_402_300_799_999;

/// Milliseconds for `at_ms`, within what a timestamp takes.
#[must_use]
pub fn ms(at: UnixMillis) -> i64 {
    number(at.0.min(LATEST_MS))
}

/// A number, within what bigint takes.
#[must_use]
pub fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text without NUL, which Postgres's text can't hold; the log's line keeps it, percent-encoded.
#[must_use]
pub fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A product's id.
#[must_use]
pub const fn product(id: &ProductId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// A slot's id.
#[must_use]
pub fn slot(id: SlotId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

/// A payment's id.
#[must_use]
pub fn payment(id: PaymentId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_cannot_hold_is_bent_into_what_it_can() {
        assert_eq!(ms(UnixMillis(u64::MAX)), 253_402_300_799_999);
        assert_eq!(number(u64::MAX), i64::MAX);
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
