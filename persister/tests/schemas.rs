//! The schema files say what DESIGN §5's table says, field by field.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the table below is this file's own"
)]

use serde_json::{Value, json};
use slot_persister::kafka::avro::Record;

/// name, fields as `name type[=default]`; ts is a long timestamp-millis.
const TABLE: [(&str, &str); 5] = [
    (
        "SlotAcquiredEvent",
        "slotId string, userId string, productId string, productName string, \
         acquisitionTimestamp ts, expirationTimestamp ts, traceId string, version int=1",
    ),
    (
        "SlotExpiredEvent",
        "slotId string, userId string, productId string, productName string, \
         expirationTimestamp ts, reclaimStatus ReclaimStatus=\"AUTO_EXPIRED\", traceId string, \
         version int=1",
    ),
    (
        "SlotExpiringSoonEvent",
        "slotId string, userId string, productId string, productName string, \
         expirationTimestamp ts, minutesRemaining int=5, traceId string, version int=1",
    ),
    (
        "PaymentCompletedEvent",
        "purchaseId string, slotId string, userId string, productId string, productName string, \
         paymentId string, amount double, currency string=\"KRW\", paymentMethod PaymentMethod, \
         confirmationTimestamp ts, traceId string, version int=1",
    ),
    (
        "SlotAuditEvent",
        "productId string, eventNumber long, type string, timestamp ts, line string, \
         chainHash string, traceId string, version int=1",
    ),
];

fn field(text: &str) -> Value {
    let (name, rest) = text.trim().split_once(' ').unwrap();
    let (kind, default) = match rest.split_once('=') {
        Some((kind, default)) => (kind, Some(default)),
        None => (rest, None),
    };
    let kind = match kind {
        "ts" => json!({"type": "long", "logicalType": "timestamp-millis"}),
        "ReclaimStatus" => json!({
            "type": "enum", "name": "ReclaimStatus",
            "symbols": ["AUTO_EXPIRED", "MANUAL_RECLAIMED", "RELEASED"], "default": "AUTO_EXPIRED"
        }),
        "PaymentMethod" => json!({
            "type": "enum", "name": "PaymentMethod", "symbols": ["CARD", "BANK_TRANSFER", "WALLET"]
        }),
        plain => json!(plain),
    };
    let mut field = json!({"name": name, "type": kind});
    if let Some(default) = default {
        field["default"] = serde_json::from_str(default).unwrap();
    }
    field
}

#[test]
fn the_schema_files_are_the_table_of_the_design() {
    for (record, (name, fields)) in Record::ALL.into_iter().zip(TABLE) {
        let mut schema: Value = serde_json::from_str(record.schema()).unwrap();
        schema.as_object_mut().unwrap().remove("doc");
        let expected = json!({
            "type": "record", "name": name, "namespace": "com.dopaminestore.product.events",
            "fields": fields.split(", ").map(field).collect::<Vec<_>>()
        });
        assert_eq!(schema, expected, "{name}");
    }
}
