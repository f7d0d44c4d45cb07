//! The topics, and making those that are missing. A topic that is there is left as it is.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::types::RDKafkaErrorCode;
use std::time::Duration;

use crate::sink::SinkError;

/// Every event.
pub const AUDIT: &str = "product.slot-audit";
/// SLOT_ACQUIRED.
pub const ACQUIRED: &str = "product.slot-acquired";
/// SLOT_EXPIRED.
pub const EXPIRED: &str = "product.slot-expired";
/// SLOT_EXPIRING_SOON.
pub const EXPIRING_SOON: &str = "product.slot-expiring-soon";
/// PAYMENT_COMPLETED.
pub const PAYMENT_COMPLETED: &str = "product.payment-completed";
/// Lines that could not be decoded, as they are, with the reason in a header.
pub const QUARANTINE: &str = "product.slot-quarantine";
/// How far Kafka has each sale; compacted.
pub const MARKS: &str = "product.slot-sink-marks";

const EVENTS: [&str; 6] = [AUDIT, ACQUIRED, EXPIRED, EXPIRING_SOON, PAYMENT_COMPLETED, QUARANTINE];

/// How long the brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What librdkafka's mock broker calls itself. It makes topics when they are first named, and knows no request for it.
const MOCK: &str = "mockCluster";

/// Creates the topics that are missing.
///
/// # Errors
/// Where the brokers can't be reached or refuse.
pub async fn create_missing(
    bootstrap: &str,
    partitions: i32,
    replication: i32,
) -> Result<(), SinkError> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let (admin, missing) = tokio::task::spawn_blocking(move || {
        let missing = missing(admin.inner());
        (admin, missing)
    })
    .await
    .map_err(|error| SinkError::Retry(format!("kafka: {error}")))?;
    let missing = missing?;
    let topics: Vec<_> = missing
        .into_iter()
        .map(|name| match name {
            MARKS => NewTopic::new(MARKS, 1, TopicReplication::Fixed(replication))
                .set("cleanup.policy", "compact"),
            name => NewTopic::new(name, partitions, TopicReplication::Fixed(replication)),
        })
        .collect();
    if topics.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(Duration::from_secs(10)));
    for result in admin.create_topics(&topics, &options).await? {
        match result {
            Ok(name) => tracing::info!(topic = name, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(SinkError::Retry(format!("kafka: can't create topic {name}: {code}")));
            }
        }
    }
    Ok(())
}

/// Which of our topics are not there. Blocks.
fn missing(client: &Client<DefaultClientContext>) -> Result<Vec<&'static str>, SinkError> {
    let all = EVENTS.into_iter().chain([MARKS]);
    let cluster = client.fetch_cluster_id(PATIENCE);
    if cluster.is_some_and(|name| name.starts_with(MOCK)) {
        tracing::warn!("this is librdkafka's mock broker: nothing here is exactly once, or lasts");
        for name in all {
            client.fetch_metadata(Some(name), PATIENCE)?;
        }
        return Ok(Vec::new());
    }
    let metadata = client.fetch_metadata(None, PATIENCE)?;
    let there = |name: &str| metadata.topics().iter().any(|topic| topic.name() == name);
    Ok(all.filter(|name| !there(name)).collect())
}
