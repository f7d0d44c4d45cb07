//! The marks in Kafka: a compacted topic, one record per sale, written in the transaction that brings the events. A mark
//! carries the product's name too, which later events of the sale don't repeat.
//!
//! A record with the key `writer-<w>` names the process that writes; it tells a producer that was fenced by a newer
//! process from one that the broker merely timed out.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use slot_core::chain::ChainHash;
use slot_core::ids::ProductId;
use slot_core::units::EventNumber;

use crate::kafka::topics;
use crate::marks::Mark;
use crate::share::Share;
use crate::sink::SinkError;

const PATIENCE: Duration = Duration::from_secs(30);

/// How far Kafka has a sale, and what the product is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMark {
    /// The mark.
    pub mark: Mark,
    /// The product's name as of the mark.
    pub name: String,
}

/// What the topic holds.
#[derive(Debug, Default)]
pub struct KafkaMarks {
    /// This writer's sales.
    pub sales: HashMap<ProductId, NamedMark>,
    /// The process that wrote last as this writer.
    pub process: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MarkRecord {
    number: u64,
    hash: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct ProcessRecord {
    process: String,
}

/// The key of the record that names this writer's process.
#[must_use]
pub fn process_key(share: Share) -> String {
    format!("writer-{}", share.writer)
}

/// The record that names the process.
///
/// # Errors
/// Never in practice: a text is always JSON.
pub fn process_record(process: &str) -> Result<Vec<u8>, String> {
    let record = ProcessRecord { process: process.to_owned() };
    serde_json::to_vec(&record).map_err(|error| error.to_string())
}

/// A mark's record.
///
/// # Errors
/// Never in practice: a number and two texts are always JSON.
pub fn mark_record(mark: &NamedMark) -> Result<Vec<u8>, String> {
    let record = MarkRecord {
        number: mark.mark.number.0,
        hash: mark.mark.hash.to_string(),
        name: mark.name.clone(),
    };
    serde_json::to_vec(&record).map_err(|error| error.to_string())
}

/// A client that does not call the end of a partition an error.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "kafka client");
        }
    }
}

impl ConsumerContext for Quiet {}

/// Reads the topic to its end, committed records only. Blocks.
///
/// # Errors
/// Where the brokers can't be reached, or a record is not one of ours.
pub fn read(bootstrap: &str, share: Share) -> Result<KafkaMarks, SinkError> {
    let consumer: BaseConsumer<Quiet> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("slot-persister-marks-{}", share.writer))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create_with_context(Quiet)?;
    let metadata = consumer.fetch_metadata(Some(topics::MARKS), PATIENCE)?;
    let mut open = HashSet::new();
    let mut all = TopicPartitionList::new();
    for topic in metadata.topics().iter().filter(|topic| topic.name() == topics::MARKS) {
        for partition in topic.partitions() {
            all.add_partition_offset(topics::MARKS, partition.id(), Offset::Beginning)?;
            open.insert(partition.id());
        }
    }
    if open.is_empty() {
        return Err(SinkError::Retry(format!("kafka: topic {} has no partition", topics::MARKS)));
    }
    consumer.assign(&all)?;
    let mut marks = KafkaMarks::default();
    let start = Instant::now();
    while !open.is_empty() {
        if start.elapsed() > PATIENCE {
            return Err(SinkError::Retry("kafka: the marks could not be read within 30 s".into()));
        }
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => marks.take(share, message.key(), message.payload())?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(marks)
}

impl KafkaMarks {
    fn take(
        &mut self,
        share: Share,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> Result<(), SinkError> {
        let strange = || {
            SinkError::Retry(format!(
                "kafka: topic {} holds a record that is not a mark: key {:?}",
                topics::MARKS,
                String::from_utf8_lossy(key.unwrap_or_default())
            ))
        };
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(strange)?;
        let payload = payload.unwrap_or_default();
        if key.starts_with("writer-") {
            if key == process_key(share) {
                let record: ProcessRecord =
                    serde_json::from_slice(payload).map_err(|_| strange())?;
                self.process = Some(record.process);
            }
            return Ok(());
        }
        let product = ProductId::parse(key).map_err(|_| strange())?;
        if share.owns(&product) {
            let record: MarkRecord = serde_json::from_slice(payload).map_err(|_| strange())?;
            let hash = ChainHash::parse(&record.hash).map_err(|_| strange())?;
            let mark = Mark { number: EventNumber(record.number), hash };
            self.sales.insert(product, NamedMark { mark, name: record.name });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::units::UnixMillis;

    #[test]
    fn marks_come_back_as_they_were_written_and_the_last_one_counts() {
        let share = Share { writer: 0, writers: 1 };
        let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
        let key = product.to_string();
        let mut marks = KafkaMarks::default();
        for number in [3, 9] {
            let mark = Mark { number: EventNumber(number), hash: ChainHash::from_bytes([7; 16]) };
            let record = mark_record(&NamedMark { mark, name: "a \"name\"".into() }).unwrap();
            marks.take(share, Some(key.as_bytes()), Some(&record)).unwrap();
        }
        let read = &marks.sales[&product];
        assert_eq!((read.mark.number.0, read.name.as_str()), (9, "a \"name\""));
        for (writer, process) in [("writer-1", "other"), ("writer-0", "mine")] {
            let record = process_record(process).unwrap();
            marks.take(share, Some(writer.as_bytes()), Some(&record)).unwrap();
        }
        assert_eq!(marks.process.as_deref(), Some("mine"));
        assert!(marks.take(share, Some(b"else"), Some(b"{}")).is_err());
        assert!(marks.take(share, Some(key.as_bytes()), None).is_err());
    }
}
