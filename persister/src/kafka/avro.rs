//! Avro in Confluent's wire format: a zero byte, the schema's id (4 bytes, big-endian), the datum.
//!
//! The schemas are the files in `persister/schemas`. No registry is asked: the ids are the files' own, in the order of
//! [`Record`].

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;

use crate::failure::Failure;

/// The records, each with its schema's file and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// SlotAcquiredEvent
    SlotAcquired = 1,
    /// SlotExpiredEvent
    SlotExpired = 2,
    /// SlotExpiringSoonEvent
    SlotExpiringSoon = 3,
    /// PaymentCompletedEvent
    PaymentCompleted = 4,
    /// SlotAuditEvent
    SlotAudit = 5,
}

impl Record {
    /// All of them, in the order of their ids.
    pub const ALL: [Self; 5] = [
        Self::SlotAcquired,
        Self::SlotExpired,
        Self::SlotExpiringSoon,
        Self::PaymentCompleted,
        Self::SlotAudit,
    ];

    /// The schema's text.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::SlotAcquired => include_str!("../../schemas/slot-acquired.avsc"),
            Self::SlotExpired => include_str!("../../schemas/slot-expired.avsc"),
            Self::SlotExpiringSoon => include_str!("../../schemas/slot-expiring-soon.avsc"),
            Self::PaymentCompleted => include_str!("../../schemas/payment-completed.avsc"),
            Self::SlotAudit => include_str!("../../schemas/slot-audit.avsc"),
        }
    }

    /// The schema's id.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::SlotAcquired => 1,
            Self::SlotExpired => 2,
            Self::SlotExpiringSoon => 3,
            Self::PaymentCompleted => 4,
            Self::SlotAudit => 5,
        }
    }
}

/// Writes records.
pub struct Avro {
    writers: Vec<(Record, GenericDatumWriter<'static>)>,
}

impl Avro {
    /// Reads the schemas.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] where one of this build's schemas is none.
    pub fn new() -> Result<Self, Failure> {
        let writer = |record: Record| {
            // Once per process: the writers live as long as it does.
            let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(record.schema())?));
            Ok((record, GenericDatumWriter::builder(schema).build()?))
        };
        let writers: Result<_, apache_avro::Error> = Record::ALL.into_iter().map(writer).collect();
        writers
            .map(|writers| Self { writers })
            .map_err(|error| Failure::Unavailable(format!("avro schemas: {error}")))
    }

    /// A record in its frame.
    ///
    /// # Errors
    /// A message where the value does not fit the schema.
    pub fn frame(&self, record: Record, value: &impl Serialize) -> Result<Vec<u8>, String> {
        let (_, writer) = self
            .writers
            .iter()
            .find(|(of, _)| *of == record)
            .ok_or_else(|| format!("no schema for {record:?}"))?;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(0);
        bytes.extend_from_slice(&record.id().to_be_bytes());
        writer.write_ser(&mut bytes, value).map_err(|error| format!("{record:?}: {error}"))?;
        Ok(bytes)
    }
}
