//! What each part of the system says about a sale, read by plain clients: Redis's commands, SQL, a Kafka
//! consumer that sees committed messages only. Next: audit.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::{Schema, types::Value as Avro};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use redis::aio::MultiplexedConnection;
use slot_core::ids::ProductId;
use slot_core::wire::{AuditView, SaleView, Value, Wire};
use sqlx::PgPool;

/// An event as a sink has it: number, line, chain hash in hex.
pub(super) type Row = (u64, String, String);

/// Messages of a topic about one sale: what identifies each, in order.
#[derive(Debug, Default, Clone)]
pub(super) struct KafkaSale {
    pub(super) audit: Vec<Row>,
    /// The slot or payment id in each message, by topic.
    pub(super) domain: BTreeMap<&'static str, Vec<String>>,
}

/// A domain topic, its record's schema, and the field that says what it is about.
const TOPICS: [(&str, &str, &str); 5] = [
    (AUDIT_TOPIC, include_str!("../../../persister/schemas/slot-audit.avsc"), "productId"),
    (
        "product.slot-acquired",
        include_str!("../../../persister/schemas/slot-acquired.avsc"),
        "slotId",
    ),
    (
        "product.slot-expired",
        include_str!("../../../persister/schemas/slot-expired.avsc"),
        "slotId",
    ),
    (
        "product.slot-expiring-soon",
        include_str!("../../../persister/schemas/slot-expiring-soon.avsc"),
        "slotId",
    ),
    (
        "product.payment-completed",
        include_str!("../../../persister/schemas/payment-completed.avsc"),
        "purchaseId",
    ),
];
const AUDIT_TOPIC: &str = "product.slot-audit";
/// Magic byte and schema id of the Confluent wire format.
const FRAME: usize = 5;
const KAFKA_PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn sale(redis: &mut MultiplexedConnection, id: ProductId) -> Result<SaleView> {
    let reply: redis::Value = redis::cmd("SLOT.SALE").arg(id.sale_key()).query_async(redis).await?;
    Ok(SaleView::from_value(Value::from(reply))?)
}

pub(super) async fn live_audit(
    redis: &mut MultiplexedConnection,
    id: ProductId,
) -> Result<AuditView> {
    let reply: redis::Value =
        redis::cmd("SLOT.AUDIT").arg(id.sale_key()).query_async(redis).await?;
    Ok(AuditView::from_value(Value::from(reply))?)
}

/// The audit log in Postgres, in the order of the events.
pub(super) async fn postgres_log(pool: &PgPool, id: ProductId) -> Result<Vec<Row>> {
    let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
        "SELECT event_number, line, chain_hash FROM slot_audit_log \
         WHERE product_id = $1::uuid ORDER BY event_number",
    )
    .bind(id.to_string())
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(n, line, hash)| Ok((n.try_into()?, line, hex::encode(hash)))).collect()
}

/// How many rows the states have, by status.
pub(super) async fn postgres_states(pool: &PgPool, id: ProductId) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT status, count(*) FROM purchase_slots WHERE product_id = $1::uuid GROUP BY status",
    )
    .bind(id.to_string())
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(status, n)| Ok((status, n.try_into()?))).collect()
}

pub(super) async fn postgres_count(pool: &PgPool, id: ProductId) -> Result<u64> {
    let sql = "SELECT count(*) FROM slot_audit_log WHERE product_id = $1::uuid";
    let count: i64 = sqlx::query_scalar(sql).bind(id.to_string()).fetch_one(pool).await?;
    Ok(count.try_into()?)
}

/// Reads all five topics from the beginning to their present end, committed messages only.
///
/// # Errors
/// Where the broker is away, or a message is not what its schema says.
pub(super) fn kafka(bootstrap: &str) -> Result<BTreeMap<ProductId, KafkaSale>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "slot-loadtest-witness")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        // The end of a topic is answered at once, not after the default half second.
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut sales = BTreeMap::<ProductId, KafkaSale>::new();
    for (topic, schema, subject) in TOPICS {
        let schema = Schema::parse_str(schema)?;
        let reader = GenericDatumReader::builder(&schema).build()?;
        read_topic(&consumer, topic, |key, payload| {
            let sale = sales.entry(ProductId::parse(key)?).or_default();
            let mut datum =
                payload.get(FRAME..).context("the message is shorter than its frame")?;
            let record = reader.read_value(&mut datum)?;
            if topic == AUDIT_TOPIC {
                sale.audit.push((
                    number(&record, "eventNumber")?,
                    text(&record, "line")?,
                    text(&record, "chainHash")?,
                ));
            } else {
                sale.domain.entry(topic).or_default().push(text(&record, subject)?);
            }
            Ok(())
        })
        .with_context(|| format!("topic {topic}"))?;
    }
    Ok(sales)
}

fn read_topic(
    consumer: &BaseConsumer,
    topic: &str,
    mut take: impl FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let metadata = consumer.fetch_metadata(Some(topic), KAFKA_PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let mut assignment = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    // An end can be told twice.
    let mut open: BTreeSet<i32> = (0..i32::try_from(partitions)?).collect();
    while !open.is_empty() {
        match consumer.poll(KAFKA_PATIENCE) {
            Some(Ok(message)) => {
                let key = std::str::from_utf8(message.key().unwrap_or_default())?;
                take(key, message.payload().unwrap_or_default())?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the broker did not answer within {KAFKA_PATIENCE:?}"),
        }
    }
    Ok(())
}

fn field<'a>(record: &'a Avro, name: &str) -> Result<&'a Avro> {
    let Avro::Record(fields) = record else { bail!("not a record") };
    let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    found.with_context(|| format!("the record has no field {name}"))
}

fn text(record: &Avro, name: &str) -> Result<String> {
    match field(record, name)? {
        Avro::String(text) => Ok(text.clone()),
        other => bail!("{name} is {other:?}"),
    }
}

fn number(record: &Avro, name: &str) -> Result<u64> {
    match field(record, name)? {
        Avro::Long(number) => {
            ensure!(*number >= 0, "{name} is negative");
            Ok(number.unsigned_abs())
        }
        other => bail!("{name} is {other:?}"),
    }
}
