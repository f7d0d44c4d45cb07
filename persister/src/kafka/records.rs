//! Which messages an event becomes: always one for the audit topic, and one for other domains where the event is
//! of their interest. What can't be decoded becomes one message of the quarantine topic. Next: avro.rs.

use rdkafka::message::{Header, OwnedHeaders};
use serde::Serialize;

use slot_core::event::{
    Change, Event, PaymentCompleted, ReclaimStatus, SlotAcquired, SlotExpired, SlotExpiringSoon,
};
use slot_core::ids::{ProductId, TraceId};
use slot_core::units::{Price, UnixMillis};

use crate::history::Recorded;
use crate::kafka::avro::{Avro, Record};
use crate::kafka::topics;

/// The version of all records.
const VERSION: i32 = 1;

/// A message, keyed by the product's id.
#[derive(Debug)]
pub struct Message {
    /// Where it goes.
    pub topic: &'static str,
    /// The record in its frame.
    pub payload: Vec<u8>,
}

/// The messages of an event.
///
/// # Errors
/// A message where a record does not fit its schema, which is a fault of this build.
pub fn messages(
    avro: &Avro,
    product: &str,
    id: &ProductId,
    name: &str,
    recorded: &Recorded,
) -> Result<Vec<Message>, String> {
    let Ok(event) = &recorded.event else {
        return Ok(vec![Message { topic: topics::QUARANTINE, payload: recorded.line.clone() }]);
    };
    let about = About { id, product, name, event };
    let mut messages = vec![audit(avro, &about, recorded)?];
    match &event.change {
        Change::SlotAcquired(e) => messages.push(acquired(avro, &about, e)?),
        Change::SlotExpired(e) => messages.push(expired(avro, &about, e)?),
        Change::SlotExpiringSoon(e) => messages.push(expiring_soon(avro, &about, e)?),
        Change::PaymentCompleted(e) => messages.push(completed(avro, &about, e)?),
        _ => {}
    }
    Ok(messages)
}

/// What a reader needs to drop an event that it has seen, without reading the record.
#[must_use]
pub fn headers(recorded: &Recorded) -> OwnedHeaders {
    let number = recorded.mark.number.to_string();
    let hash = recorded.mark.hash.to_hex();
    let headers = OwnedHeaders::new_with_capacity(3)
        .insert(Header { key: "event-number", value: Some(&number) })
        .insert(Header { key: "chain-hash", value: Some(&hash) });
    match &recorded.event {
        Ok(event) => match &event.trace {
            Some(trace) => headers.insert(Header { key: "trace-id", value: Some(trace.as_str()) }),
            None => headers,
        },
        Err(reason) => headers.insert(Header { key: "reason", value: Some(reason) }),
    }
}

struct About<'a> {
    id: &'a ProductId,
    product: &'a str,
    name: &'a str,
    event: &'a Event,
}

impl About<'_> {
    fn trace(&self) -> &str {
        self.event.trace.as_ref().map_or("", TraceId::as_str)
    }
}

fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlotAuditEvent<'a> {
    product_id: &'a str,
    event_number: i64,
    r#type: &'a str,
    timestamp: i64,
    line: &'a str,
    chain_hash: &'a str,
    trace_id: &'a str,
    version: i32,
}

fn audit(avro: &Avro, about: &About<'_>, recorded: &Recorded) -> Result<Message, String> {
    let line = std::str::from_utf8(&recorded.line).map_err(|error| error.to_string())?;
    let record = SlotAuditEvent {
        product_id: about.product,
        event_number: i64::try_from(about.event.number.0).unwrap_or(i64::MAX),
        r#type: about.event.change.type_word(),
        timestamp: millis(about.event.at),
        line,
        chain_hash: &recorded.mark.hash.to_string(),
        trace_id: about.trace(),
        version: VERSION,
    };
    Ok(Message { topic: topics::AUDIT, payload: avro.frame(Record::SlotAudit, &record)? })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlotAcquiredEvent<'a> {
    slot_id: &'a str,
    user_id: &'a str,
    product_id: &'a str,
    product_name: &'a str,
    acquisition_timestamp: i64,
    expiration_timestamp: i64,
    trace_id: &'a str,
    version: i32,
}

fn acquired(avro: &Avro, about: &About<'_>, e: &SlotAcquired) -> Result<Message, String> {
    let record = SlotAcquiredEvent {
        slot_id: &about.id.slot(e.arrival).to_string(),
        user_id: e.user.as_str(),
        product_id: about.product,
        product_name: about.name,
        acquisition_timestamp: millis(about.event.at),
        expiration_timestamp: millis(e.deadline),
        trace_id: about.trace(),
        version: VERSION,
    };
    Ok(Message { topic: topics::ACQUIRED, payload: avro.frame(Record::SlotAcquired, &record)? })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlotExpiredEvent<'a> {
    slot_id: &'a str,
    user_id: &'a str,
    product_id: &'a str,
    product_name: &'a str,
    expiration_timestamp: i64,
    reclaim_status: Word,
    trace_id: &'a str,
    version: i32,
}

/// The enums' symbols, as serde wants them.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Word {
    AutoExpired,
    ManualReclaimed,
    Released,
}

fn expired(avro: &Avro, about: &About<'_>, e: &SlotExpired) -> Result<Message, String> {
    // By time, the slot ended at its deadline, however late the sweep; else when it was taken or given back.
    let (reclaim_status, ended) = match e.status {
        ReclaimStatus::AutoExpired => (Word::AutoExpired, e.deadline),
        ReclaimStatus::ManualReclaimed => (Word::ManualReclaimed, about.event.at),
        ReclaimStatus::Released => (Word::Released, about.event.at),
    };
    let record = SlotExpiredEvent {
        slot_id: &about.id.slot(e.arrival).to_string(),
        user_id: e.user.as_str(),
        product_id: about.product,
        product_name: about.name,
        expiration_timestamp: millis(ended),
        reclaim_status,
        trace_id: about.trace(),
        version: VERSION,
    };
    Ok(Message { topic: topics::EXPIRED, payload: avro.frame(Record::SlotExpired, &record)? })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlotExpiringSoonEvent<'a> {
    slot_id: &'a str,
    user_id: &'a str,
    product_id: &'a str,
    product_name: &'a str,
    expiration_timestamp: i64,
    minutes_remaining: i32,
    trace_id: &'a str,
    version: i32,
}

fn expiring_soon(avro: &Avro, about: &About<'_>, e: &SlotExpiringSoon) -> Result<Message, String> {
    // To the nearest minute: a sweep that is 100 ms late still says 5.
    let left = e.deadline.since(about.event.at).0.saturating_add(30_000) / 60_000;
    let record = SlotExpiringSoonEvent {
        slot_id: &about.id.slot(e.arrival).to_string(),
        user_id: e.user.as_str(),
        product_id: about.product,
        product_name: about.name,
        expiration_timestamp: millis(e.deadline),
        minutes_remaining: i32::try_from(left).unwrap_or(i32::MAX),
        trace_id: about.trace(),
        version: VERSION,
    };
    let payload = avro.frame(Record::SlotExpiringSoon, &record)?;
    Ok(Message { topic: topics::EXPIRING_SOON, payload })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentCompletedEvent<'a> {
    purchase_id: &'a str,
    slot_id: &'a str,
    user_id: &'a str,
    product_id: &'a str,
    product_name: &'a str,
    payment_id: &'a str,
    amount: f64,
    currency: &'a str,
    payment_method: Method,
    confirmation_timestamp: i64,
    trace_id: &'a str,
    version: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Card,
    BankTransfer,
    Wallet,
}

fn completed(avro: &Avro, about: &About<'_>, e: &PaymentCompleted) -> Result<Message, String> {
    let slot = about.id.slot(e.arrival);
    let record = PaymentCompletedEvent {
        purchase_id: &slot.payment(e.attempt).to_string(),
        slot_id: &slot.to_string(),
        user_id: e.user.as_str(),
        product_id: about.product,
        product_name: about.name,
        payment_id: &e.reference,
        amount: major_units(e.price),
        currency: e.price.currency.as_str(),
        payment_method: match e.method {
            slot_core::units::PaymentMethod::Card => Method::Card,
            slot_core::units::PaymentMethod::BankTransfer => Method::BankTransfer,
            slot_core::units::PaymentMethod::Wallet => Method::Wallet,
        },
        confirmation_timestamp: millis(about.event.at),
        trace_id: about.trace(),
        version: VERSION,
    };
    let payload = avro.frame(Record::PaymentCompleted, &record)?;
    Ok(Message { topic: topics::PAYMENT_COMPLETED, payload })
}

/// The amount in the currency's major unit by ISO 4217's exponent; a currency that has none counts in whole units.
#[expect(clippy::cast_precision_loss, reason = "the contract's amount is a double (DESIGN §5)")]
fn major_units(price: Price) -> f64 {
    let exponent = iso_currency::Currency::from_code(price.currency.as_str())
        .and_then(iso_currency::Currency::exponent)
        .unwrap_or(0);
    price.amount.0 as f64 / 10_f64.powi(i32::from(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Mark;
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value;
    use slot_core::chain::ChainHash;
    use slot_core::units::{Currency, MinorUnits};

    const NAME: &str = "Ein Täßchen";

    fn product() -> ProductId {
        ProductId::new(UnixMillis(1_763_827_200_123), 7)
    }

    fn decoded(line: &str) -> Vec<(&'static str, Vec<(String, Value)>)> {
        let event = Event::from_line(line).map_err(|error| error.to_string());
        let number = event.as_ref().map(|event| event.number).unwrap();
        let hash = ChainHash::from_bytes([0xab; 16]);
        let recorded = Recorded { mark: Mark { number, hash }, line: line.into(), event };
        let avro = Avro::new().unwrap();
        messages(&avro, &product().to_string(), &product(), NAME, &recorded)
            .unwrap()
            .into_iter()
            .map(|message| {
                assert_eq!(message.payload[..4], [0; 4]);
                let record = Record::ALL[usize::from(message.payload[4]) - 1];
                let schema = Schema::parse_str(record.schema()).unwrap();
                let reader = GenericDatumReader::builder(&schema).build().unwrap();
                let Value::Record(fields) = reader.read_value(&mut &message.payload[5..]).unwrap()
                else {
                    panic!("not a record")
                };
                (message.topic, fields)
            })
            .collect()
    }

    fn field<'a>(fields: &'a [(String, Value)], name: &str) -> &'a Value {
        &fields.iter().find(|(of, _)| of == name).unwrap().1
    }

    #[test]
    fn every_event_goes_to_the_audit_topic_with_its_line_and_hash() {
        let line = "1 4 SALE_PAUSED 1763827200500 tr-1 - heat";
        let messages = decoded(line);
        assert_eq!(messages.len(), 1);
        let (topic, fields) = &messages[0];
        assert_eq!(*topic, "product.slot-audit");
        assert_eq!(field(fields, "productId"), &Value::String(product().to_string()));
        assert_eq!(field(fields, "eventNumber"), &Value::Long(4));
        assert_eq!(field(fields, "type"), &Value::String("SALE_PAUSED".into()));
        assert_eq!(field(fields, "timestamp"), &Value::TimestampMillis(1_763_827_200_500));
        assert_eq!(field(fields, "line"), &Value::String(line.into()));
        assert_eq!(field(fields, "chainHash"), &Value::String("ab".repeat(16)));
        assert_eq!(field(fields, "traceId"), &Value::String("tr-1".into()));
        assert_eq!(field(fields, "version"), &Value::Int(1));
    }

    #[test]
    fn an_expiry_by_time_carries_its_deadline_and_another_its_own_time() {
        for (status, ends) in
            [("AUTO_EXPIRED", 2_000), ("MANUAL_RECLAIMED", 2_050), ("RELEASED", 2_050)]
        {
            let line = format!("1 9 SLOT_EXPIRED 2050 - 3 ana 2000 {status} -");
            let messages = decoded(&line);
            let (topic, fields) = &messages[1];
            assert_eq!(*topic, "product.slot-expired");
            assert_eq!(field(fields, "expirationTimestamp"), &Value::TimestampMillis(ends));
            assert!(matches!(field(fields, "reclaimStatus"), Value::Enum(_, s) if s == status));
            assert_eq!(field(fields, "productName"), &Value::String(NAME.into()));
        }
    }

    #[test]
    fn acquired_and_expiring_soon_name_their_slot_and_times() {
        let slot = product().slot(slot_core::units::ArrivalNumber(3)).to_string();
        let messages = decoded("1 2 SLOT_ACQUIRED 1000 t 3 ana 1801000 900 DIRECT 1");
        let fields = &messages[1].1;
        assert_eq!(field(fields, "slotId"), &Value::String(slot.clone()));
        assert_eq!(field(fields, "acquisitionTimestamp"), &Value::TimestampMillis(1000));
        assert_eq!(field(fields, "expirationTimestamp"), &Value::TimestampMillis(1_801_000));
        let messages = decoded("1 3 SLOT_EXPIRING_SOON 1501090 t 3 ana 1801000");
        let (topic, fields) = &messages[1];
        assert_eq!(*topic, "product.slot-expiring-soon");
        assert_eq!(field(fields, "slotId"), &Value::String(slot));
        assert_eq!(field(fields, "minutesRemaining"), &Value::Int(5));
    }

    #[test]
    fn a_completed_payment_is_told_in_major_units() {
        let messages =
            decoded("1 8 PAYMENT_COMPLETED 5000 t 3 1 ana gw-77 129900 EUR BANK_TRANSFER ON_TIME");
        let (topic, fields) = &messages[1];
        assert_eq!(*topic, "product.payment-completed");
        assert_eq!(field(fields, "amount"), &Value::Double(1299.0));
        assert_eq!(field(fields, "paymentId"), &Value::String("gw-77".into()));
        assert!(
            matches!(field(fields, "paymentMethod"), Value::Enum(1, s) if s == "BANK_TRANSFER")
        );
        let price = |amount, code| Price {
            amount: MinorUnits(amount),
            currency: Currency::parse(code).unwrap(),
        };
        assert_eq!(major_units(price(129_900, "KRW")), 129_900.0);
        assert_eq!(major_units(price(1_234, "KWD")), 1.234);
    }

    #[test]
    fn what_cannot_be_read_goes_to_the_quarantine_topic_as_it_is() {
        let recorded = Recorded {
            mark: Mark {
                number: slot_core::units::EventNumber(2),
                hash: ChainHash::from_bytes([1; 16]),
            },
            line: b"1 2 NEWER 5 -".to_vec(),
            event: Err("the line's event type is unknown".into()),
        };
        let avro = Avro::new().unwrap();
        let messages = messages(&avro, "p", &product(), NAME, &recorded).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "product.slot-quarantine");
        assert_eq!(messages[0].payload, b"1 2 NEWER 5 -");
    }
}
