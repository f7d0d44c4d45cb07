//! A transactional producer: sends, waits for the deliveries, commits. Everything here blocks and runs on threads of its own.
//!
//! Deliveries are awaited by polling every millisecond before the commit: the client's own flush polls in steps of
//! 100 ms, which would cap a small transaction at ten a second.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::kafka::topics;
use crate::sink::SinkError;

/// How long the broker lets a transaction be open; a process that stands still longer has lost it.
const TRANSACTION_TIMEOUT_MS: &str = "15000";
const DELIVERY: Duration = Duration::from_secs(12);
const COMMIT: Duration = Duration::from_secs(12);
const INIT: Duration = Duration::from_secs(30);
const ABORT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(4);
const STEP: Duration = Duration::from_millis(1);

impl From<KafkaError> for SinkError {
    fn from(error: KafkaError) -> Self {
        Self::Retry(format!("kafka: {error}"))
    }
}

/// A message to send.
#[derive(Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: &'static str,
    /// The product's id, so that a sale stays in order.
    pub key: String,
    /// The value.
    pub payload: Vec<u8>,
    /// The headers.
    pub headers: Option<OwnedHeaders>,
}

/// Notes the first delivery that failed.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(fac, log_message, "librdkafka");
            }
            _ => tracing::warn!(fac, log_message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka client");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.to_string());
        }
    }
}

/// A producer that has shut out all earlier ones of its id.
pub struct Transactions {
    producer: BaseProducer<Deliveries>,
}

impl Transactions {
    /// Starts the producer: what an earlier one of this id left open is committed or aborted by the broker, and the earlier
    /// one is fenced.
    ///
    /// # Errors
    /// Where the brokers can't be reached or refuse.
    pub fn begin(bootstrap: &str, id: &str) -> Result<Self, SinkError> {
        let producer: BaseProducer<Deliveries> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            .set("compression.type", "lz4")
            .set("linger.ms", "2")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "500000")
            .create_with_context(Deliveries::default())?;
        producer.init_transactions(INIT)?;
        Ok(Self { producer })
    }

    /// Sends all messages in one transaction: all of them or none is ever seen by a read_committed reader.
    ///
    /// # Errors
    /// Where it can't be said that they are committed; then this producer must not be used again.
    pub fn commit(&self, messages: &[Outgoing]) -> Result<(), SinkError> {
        let done = self.try_commit(messages);
        if done.is_err() {
            // Frees readers from waiting for the transaction's timeout; if it can't be told, the next
            // producer's start does it.
            let _aborted = self.producer.abort_transaction(ABORT);
        }
        done
    }

    /// Whether a broker answers.
    ///
    /// # Errors
    /// Where none does.
    pub fn check(&self) -> Result<(), SinkError> {
        self.producer.client().fetch_metadata(Some(topics::MARKS), ANSWER)?;
        Ok(())
    }

    fn try_commit(&self, messages: &[Outgoing]) -> Result<(), SinkError> {
        let deadline = Instant::now() + DELIVERY;
        self.producer.begin_transaction()?;
        for message in messages {
            self.send(message, deadline)?;
        }
        while self.producer.in_flight_count() > 0 {
            self.watch(deadline)?;
            self.producer.poll(STEP);
        }
        self.watch(deadline)?;
        self.producer.commit_transaction(COMMIT)?;
        Ok(())
    }

    fn send(&self, message: &Outgoing, deadline: Instant) -> Result<(), SinkError> {
        let mut record = BaseRecord::to(message.topic).key(&message.key).payload(&message.payload);
        if let Some(headers) = &message.headers {
            record = record.headers(headers.clone());
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.watch(deadline)?;
                    self.producer.poll(STEP);
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    fn watch(&self, deadline: Instant) -> Result<(), SinkError> {
        let failed = &self.producer.context().failed;
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(SinkError::Retry(format!("kafka: a message was not delivered: {error}")));
        }
        if Instant::now() > deadline {
            return Err(SinkError::Retry("kafka: messages were not delivered within 12 s".into()));
        }
        Ok(())
    }
}
