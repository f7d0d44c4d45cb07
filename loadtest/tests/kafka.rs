//! A broker of our own takes a transaction, keeps it through kill −9, and is gone with its owner.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use slot_loadtest::stack::{Kafka, KafkaChoice, KafkaKind};

const TOPIC: &str = "written";
const LIMIT: Duration = Duration::from_secs(30);

fn write_in_a_transaction(bootstrap: &str, text: &str) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", "test")
        .create()?;
    producer.init_transactions(LIMIT)?;
    producer.begin_transaction()?;
    let record = BaseRecord::<str, str>::to(TOPIC).payload(text).partition(0);
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(LIMIT)?;
    producer.commit_transaction(LIMIT)?;
    Ok(())
}

fn read_first(bootstrap: &str) -> Result<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "test")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&from_start)?;
    let Some(message) = consumer.poll(LIMIT) else { bail!("nothing to read") };
    let text = message?.payload().map(<[u8]>::to_vec).context("no payload")?;
    Ok(String::from_utf8(text)?)
}

async fn written_and_read(kafka: &Kafka, text: &'static str) -> Result<String> {
    let bootstrap = kafka.bootstrap().to_string();
    tokio::task::spawn_blocking(move || {
        write_in_a_transaction(&bootstrap, text)?;
        read_first(&bootstrap)
    })
    .await?
}

#[tokio::test]
async fn apache_keeps_a_transaction_through_kill9_and_is_gone_after_drop() -> Result<()> {
    let mut kafka = Kafka::builder().start().await?;
    if kafka.kind() == KafkaKind::Mock {
        println!("not run: {}", kafka.why_mock().unwrap_or_default());
        return Ok(());
    }
    assert_eq!(written_and_read(&kafka, "first").await?, "first");

    kafka.kill9().await?;
    kafka.restart().await?;
    assert_eq!(written_and_read(&kafka, "second").await?, "first");

    let pid = kafka.pid().context("no process")?;
    let scratch = kafka.scratch().path().to_path_buf();
    drop(kafka);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the broker outlived its owner");
    assert!(!scratch.exists(), "the scratch folder outlived its owner");
    Ok(())
}

#[tokio::test]
async fn mock_takes_a_transaction_and_says_that_it_is_the_mock() -> Result<()> {
    let mut kafka = Kafka::builder().choice(KafkaChoice::Mock).start().await?;
    assert_eq!(kafka.kind(), KafkaKind::Mock);
    assert_eq!(written_and_read(&kafka, "first").await?, "first");
    assert!(kafka.kill9().await.is_err(), "a mock in our own process cannot be killed");
    Ok(())
}
