//! The pinned bytes of every event type: these lines are in streams, in logs and under hashes, so a change
//! that makes one of them fail breaks every history written so far.

use super::LineError;
use crate::event::{Change, Event};

const PINNED: &[&str] = &[
    "1 1 PRODUCT_CREATED 1763827200000 t-1 Two%20shoes - 100 1763830800000 1800000 1000000 1 300000 300000 129000 KRW admin BLAKE3-128",
    "1 1 PRODUCT_CREATED 1763827200000 - %2D Caf%C3%A9%20%2510%0A 1 0 1800000 0 2 300000 300000 - - - BLAKE3-128",
    "1 2 PRODUCT_CHANGED 1763827200001 t-1 New%20name - -5 95 - admin",
    "1 3 PRODUCT_CHANGED 1763827200001 t-1 - New 0 95 1763830800001 -",
    "1 4 PRODUCT_DELETED 1763827200002 t-1 admin",
    "1 5 SALE_PAUSED 1763827200003 t-1 admin fork%20found",
    "1 6 SALE_RESUMED 1763827200004 t-1 -",
    "1 7 SALE_CLOSED 1763827200005 t-1 admin 12",
    "1 8 SALE_RECONCILED 1763827200006 t-1 5 8 000102030405060708090a0b0c0d0e0f 7 f00102030405060708090a0b0c0d0e0f admin",
    "1 9 SLOT_QUEUED 1763827200007 t-1 101 ana 1763827200000 3 1",
    "1 10 SLOT_LEFT 1763827200008 - 101 ana",
    "1 11 SLOT_ACQUIRED 1763827200009 t-1 102 ana%25|@b 1763829000009 1763827200000 DIRECT 1",
    "1 12 SLOT_ACQUIRED 1763827200010 t-1 101 %2D 1763829000010 - PROMOTED 2",
    "1 13 SLOT_EXPIRING_SOON 1763827200011 t-1 102 ana 1763829000009",
    "1 14 SLOT_EXPIRED 1763827200012 t-1 102 ana 1763829000009 AUTO_EXPIRED -",
    "1 15 SLOT_EXPIRED 1763827200012 t-1 103 ana 1763829000009 MANUAL_RECLAIMED admin",
    "1 16 SLOT_EXPIRED 1763827200012 t-1 104 ana 1763829000009 RELEASED -",
    "1 17 PAYMENT_STARTED 1763827200013 t-1 102 1 ana key%201 129000 KRW CARD 1799996 1763827500013",
    "1 18 PAYMENT_FAILED 1763827200014 t-1 102 1 ana DECLINED no%20funds 1763829000010",
    "1 19 PAYMENT_FAILED 1763827200014 t-1 102 2 ana TIMEOUT - 1763829000010",
    "1 20 PAYMENT_COMPLETED 1763827200015 t-1 102 3 ana ref-9 129000 KRW BANK_TRANSFER ON_TIME",
    "1 21 PAYMENT_COMPLETED 1763827200015 t-1 103 1 ana ref-9 129000 KRW WALLET REVIVED",
    "1 22 REFUND_DUE 1763827200016 t-1 102 1 00ff00ff00ff00ff ana ref-1 129000 KRW SOLD_OUT",
    "1 23 REFUND_DUE 1763827200016 t-1 200 1 00ff00ff00ff00ff - ref-1 - - UNKNOWN_CHARGE",
];

#[test]
fn every_type_has_pinned_bytes_and_reads_back_to_them() {
    let mut types: Vec<&str> = Vec::new();
    for line in PINNED {
        let event = Event::from_line(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event.to_line(), *line);
        types.push(event.change.type_word());
    }
    for word in Change::TYPES {
        assert!(types.contains(word), "{word} has no pinned line");
    }
}

#[test]
fn a_text_that_is_not_the_one_line_is_refused() {
    let wrong = [
        ("", LineError::Version),
        ("2 4 PRODUCT_DELETED 1 t admin", LineError::Version),
        ("1 4 PRODUCT_GONE 1 t admin", LineError::UnknownType),
        ("1 4 PRODUCT_DELETED 1 t", LineError::Missing("by")),
        ("1 4 PRODUCT_DELETED 1 t admin -", LineError::Trailing),
        ("1 4 PRODUCT_DELETED 1 t  admin", LineError::Bad("by")),
        ("1 x PRODUCT_DELETED 1 t admin", LineError::Bad("number")),
        ("1 4 PRODUCT_DELETED 1 a/b admin", LineError::Bad("trace")),
        ("1 04 PRODUCT_DELETED 1 t admin", LineError::NotCanonical),
        ("1 +4 PRODUCT_DELETED 1 t admin", LineError::NotCanonical),
        ("1 4 PRODUCT_DELETED 1 t a%64min", LineError::NotCanonical),
        ("1 5 SALE_PAUSED 3 t admin fork%2dfound", LineError::NotCanonical),
        ("1 5 SALE_PAUSED 3 t admin %ff", LineError::Bad("reason")),
    ];
    for (line, error) in wrong {
        assert_eq!(Event::from_line(line), Err(error), "{line}");
    }
}
