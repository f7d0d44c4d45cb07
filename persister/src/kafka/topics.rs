//! The topics, and making those that are missing. A topic that is there is left as it is.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
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
    let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
    let mut topics: Vec<_> = EVENTS.into_iter().map(topic).collect();
    topics.push(
        NewTopic::new(MARKS, 1, TopicReplication::Fixed(replication))
            .set("cleanup.policy", "compact"),
    );
    let options = AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(15)))
        .operation_timeout(Some(Duration::from_secs(10)));
    for result in admin.create_topics(&topics, &options).await? {
        match result {
            Ok(name) => tracing::info!(topic = name, partitions, replication, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(SinkError::Retry(format!("kafka: can't create topic {name}: {code}")));
            }
        }
    }
    Ok(())
}
