//! A Kafka to write to: Apache's broker where Java and Maven are, else librdkafka's mock broker.
//!
//! The mock knows topics, offsets and transactions, but neither aborts nor fencing: what must hold
//! exactly once is proven on Apache's broker only, and [`Kafka::kind`] says which one this is.
//! Next: `apache_kafka.rs`, `mock_kafka.rs`.

use std::fmt;

use anyhow::{Result, bail};

use super::apache_kafka::ApacheKafka;
use super::child::Lifetime;
use super::kafka_jars;
use super::mock_kafka::{HostedMockKafka, MockKafka};
use super::scratch::Scratch;

/// Which broker to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaChoice {
    /// Apache's, or an error that says what is missing.
    Apache,
    /// librdkafka's mock.
    Mock,
    /// Apache's if Java, Maven (or its jars from before) are there, else the mock.
    ApacheElseMock,
}

impl KafkaChoice {
    /// `SLOT_KAFKA` (`apache` or `mock`), else Apache's with the mock to fall back on.
    ///
    /// # Errors
    /// If `SLOT_KAFKA` is neither.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("SLOT_KAFKA").as_deref() {
            Ok("apache") => Ok(Self::Apache),
            Ok("mock") => Ok(Self::Mock),
            Ok(other) => bail!("SLOT_KAFKA must be apache or mock, got {other:?}"),
            Err(_) => Ok(Self::ApacheElseMock),
        }
    }
}

/// Which broker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaKind {
    /// Apache Kafka.
    Apache,
    /// librdkafka's mock broker.
    Mock,
}

impl fmt::Display for KafkaKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Apache => "apache",
            Self::Mock => "mock",
        })
    }
}

/// What a [`Kafka`] is to be.
#[derive(Clone, Debug, Default)]
pub struct KafkaBuilder {
    scratch: Option<Scratch>,
    lifetime: Lifetime,
    choice: Option<KafkaChoice>,
    port: Option<u16>,
    settings: Vec<(String, String)>,
}

impl KafkaBuilder {
    /// The folder to work in; without, a temporary one of its own.
    #[must_use]
    pub fn scratch(mut self, scratch: &Scratch) -> Self {
        self.scratch = Some(scratch.clone());
        self
    }

    /// Whether it ends with this process.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Which broker; without, [`KafkaChoice::from_environment`].
    #[must_use]
    pub fn choice(mut self, choice: KafkaChoice) -> Self {
        self.choice = Some(choice);
        self
    }

    /// A fixed port (Apache's broker only); without, a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// One more broker setting (Apache's broker only).
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_string(), value.to_string()));
        self
    }

    /// Starts it and waits until it is ready. The first start ever fetches Apache Kafka (43 MB).
    ///
    /// # Errors
    /// If the broker that was asked for cannot be had, or does not get ready.
    pub async fn start(self) -> Result<Kafka> {
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => Scratch::temporary()?,
        };
        let choice = self.choice.map_or_else(KafkaChoice::from_environment, Ok)?;
        let (broker, why_mock) = match choice {
            KafkaChoice::Mock => (self.mock(&scratch).await?, Some("asked for".to_string())),
            KafkaChoice::Apache => {
                let jars = kafka_jars::fetched().await?;
                (self.apache(&scratch, jars).await?, None)
            }
            KafkaChoice::ApacheElseMock => match kafka_jars::fetched().await {
                Ok(jars) => (self.apache(&scratch, jars).await?, None),
                Err(error) => (self.mock(&scratch).await?, Some(format!("{error:#}"))),
            },
        };
        Ok(Kafka { broker, why_mock, scratch })
    }

    async fn apache(&self, scratch: &Scratch, jars: kafka_jars::Jars) -> Result<Broker> {
        let folder = scratch.folder("kafka")?;
        let started =
            ApacheKafka::start(jars, &folder, self.lifetime, self.port, &self.settings).await?;
        Ok(Broker::Apache(Box::new(started)))
    }

    async fn mock(&self, scratch: &Scratch) -> Result<Broker> {
        Ok(match self.lifetime {
            Lifetime::Tied => Broker::Mock(MockKafka::start().await?),
            Lifetime::Detached => {
                Broker::HostedMock(HostedMockKafka::start(&scratch.folder("kafka")?).await?)
            }
        })
    }
}

/// A broker of our own; ends when dropped.
#[derive(Debug)]
pub struct Kafka {
    broker: Broker,
    why_mock: Option<String>,
    scratch: Scratch,
}

#[derive(Debug)]
enum Broker {
    Apache(Box<ApacheKafka>),
    Mock(MockKafka),
    HostedMock(HostedMockKafka),
}

impl Kafka {
    /// The broker of the environment's choice on a free port.
    #[must_use]
    pub fn builder() -> KafkaBuilder {
        KafkaBuilder::default()
    }

    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        match &self.broker {
            Broker::Apache(broker) => broker.bootstrap(),
            Broker::Mock(broker) => broker.bootstrap(),
            Broker::HostedMock(broker) => broker.bootstrap(),
        }
    }

    /// Which broker it is.
    #[must_use]
    pub fn kind(&self) -> KafkaKind {
        match &self.broker {
            Broker::Apache(_) => KafkaKind::Apache,
            Broker::Mock(_) | Broker::HostedMock(_) => KafkaKind::Mock,
        }
    }

    /// Why it is the mock, in words for a person; none if it is not.
    #[must_use]
    pub fn why_mock(&self) -> Option<&str> {
        self.why_mock.as_deref()
    }

    /// Its process, while it runs; none for a mock in this process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.broker {
            Broker::Apache(broker) => broker.pid(),
            Broker::Mock(_) => None,
            Broker::HostedMock(broker) => Some(broker.pid()),
        }
    }

    /// The scratch folder it works in.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// kill −9: what a crash does.
    ///
    /// # Errors
    /// If it cannot be killed; always for the mock.
    pub async fn kill9(&mut self) -> Result<()> {
        self.apache("killed")?.kill9().await
    }

    /// A controlled shutdown.
    ///
    /// # Errors
    /// If it does not end within 20 s; always for the mock, which ends when dropped.
    pub async fn stop(&mut self) -> Result<()> {
        self.apache("stopped")?.stop().await
    }

    /// Stops it if it runs, and starts it again on the same ports and data. After a kill −9 it takes
    /// clients only when the session of its former self has timed out.
    ///
    /// # Errors
    /// Those of [`Self::stop`] and [`KafkaBuilder::start`]; always for the mock.
    pub async fn restart(&mut self) -> Result<()> {
        self.apache("restarted")?.restart().await
    }

    /// Leaves it running when dropped.
    pub(super) fn let_live(&mut self) {
        match &mut self.broker {
            Broker::Apache(broker) => broker.let_live(),
            Broker::HostedMock(broker) => broker.let_live(),
            Broker::Mock(_) => {}
        }
    }

    fn apache(&mut self, done: &str) -> Result<&mut ApacheKafka> {
        match &mut self.broker {
            Broker::Apache(broker) => Ok(broker),
            _ => bail!("librdkafka's mock broker cannot be {done}: that needs Apache's"),
        }
    }
}
