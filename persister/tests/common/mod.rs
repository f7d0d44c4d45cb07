//! What the tests share: real servers, a load of commands against the module, and readers of what the sinks
//! have, compared with what the streams hold.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use redis::aio::MultiplexedConnection;
use redis::{Value, cmd, pipe};
use slot_core::ids::ProductId;
use slot_core::units::UnixMillis;
use slot_core::wire::{AcquireReply, PayReply, Wire};
use slot_loadtest::stack::{Kafka, KafkaChoice, Postgres, RedisServer, until};
use slot_persister::health::now_ms;
use sqlx::PgPool;
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Redis with the module, and Postgres.
pub struct Servers {
    pub redis: RedisServer,
    pub postgres: Postgres,
    pub books: PgPool,
}

impl Servers {
    pub async fn start() -> Result<Self> {
        let redis = RedisServer::builder().start().await?;
        let postgres = Postgres::builder().fsync(false).start().await?;
        let books = postgres.connect().await?;
        Ok(Self { redis, postgres, books })
    }
}

pub async fn apache_kafka() -> Result<Kafka> {
    Kafka::builder().choice(KafkaChoice::Apache).start().await
}

/// A persister of this build, killed when dropped.
pub struct Persister {
    child: tokio::process::Child,
    log: PathBuf,
}

impl Persister {
    pub fn start(servers: &Servers, kafka: Option<&str>, more: &[&str]) -> Result<Self> {
        let log = std::env::temp_dir().join(format!("slot-persister-{}.log", Uuid::new_v4()));
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_slot-persister"));
        command.args(["run", "--redis-url", &servers.redis.url()]);
        command.args(["--postgres-url", &servers.postgres.url()]);
        match kafka {
            Some(bootstrap) => command.args(["--kafka-bootstrap", bootstrap]),
            None => command.arg("--no-kafka"),
        };
        command.args(["--metrics-listen", "127.0.0.1:0"]).args(more);
        command.stderr(Stdio::from(std::fs::File::create(&log)?)).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, log })
    }

    pub async fn kill9(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(&mut self) -> Result<Option<i32>> {
        let pid = self.child.id().context("it has ended already")?;
        let sent = std::process::Command::new("kill").arg(pid.to_string()).status()?;
        ensure!(sent.success(), "kill {pid}");
        self.ended().await
    }

    pub async fn ended(&mut self) -> Result<Option<i32>> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(status.with_context(|| format!("it goes on: {}", self.log_text()))??.code())
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        // The harness shows it if the test fails.
        let log = self.log_text();
        let lines: Vec<_> = log.lines().collect();
        println!(
            "the persister's last words:\n{}",
            lines.split_at(lines.len().saturating_sub(40)).1.join("\n")
        );
        let _gone = std::fs::remove_file(&self.log);
    }
}

/// A sale of this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestSale(pub ProductId);

impl TestSale {
    pub async fn create(
        redis: &mut MultiplexedConnection,
        stock: u32,
        more: &[&str],
    ) -> Result<Self> {
        let random = Uuid::new_v4().as_u64_pair().0;
        let product = ProductId::new(UnixMillis(now_ms()), random);
        let mut create = cmd("SLOT.CREATE");
        create.arg(product.sale_key()).arg(product.stream_key());
        create.arg(&["STOCK", &stock.to_string(), "SALEDATE", "1", "NAME", "A name"]);
        create.arg(&["DESCRIPTION", "what it is", "TRACE", "t-create"]).arg(more);
        let _: Value = create.query_async(redis).await?;
        Ok(Self(product))
    }

    pub fn command(&self, word: &str) -> redis::Cmd {
        let mut command = cmd(word);
        command.arg(self.0.sale_key()).arg(self.0.stream_key());
        command
    }

    /// Users `from` to `to` ask for a slot; the slots' ids of those who get one.
    pub async fn acquire(
        &self,
        redis: &mut MultiplexedConnection,
        users: std::ops::Range<u32>,
    ) -> Result<Vec<(String, String)>> {
        let mut command = self.command("SLOT.MACQUIRE");
        command.arg(users.len());
        for user in users.clone() {
            command.arg(format!("user-{user}")).arg(0).arg(now_ms()).arg(format!("t-{user}"));
        }
        let replies: Vec<Value> = command.query_async(redis).await?;
        let mut slots = Vec::new();
        for (user, reply) in users.zip(replies) {
            if let AcquireReply::Acquired(held) = AcquireReply::from_value(reply.into())? {
                slots.push((format!("user-{user}"), held.slot.to_string()));
            }
        }
        Ok(slots)
    }

    /// Starts payments; their charge ids.
    pub async fn pay(
        &self,
        redis: &mut MultiplexedConnection,
        slots: &[(String, String)],
    ) -> Result<Vec<String>> {
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = pipe();
        for (user, slot) in slots {
            let mut pay = self.command("SLOT.PAY");
            pay.arg(&[slot, user, "key-1", "129900", "KRW", "CARD", "TRACE", "t-pay"]);
            pipeline.add_command(pay);
        }
        let replies: Vec<Value> = pipeline.query_async(redis).await?;
        let mut charges = Vec::new();
        for reply in replies {
            match PayReply::from_value(reply.into())? {
                PayReply::Payment(payment, _) => charges.push(payment.charge.to_string()),
                other => bail!("PAY answered {other:?}"),
            }
        }
        Ok(charges)
    }

    /// What the stream holds: number → line and hash.
    pub async fn history(
        &self,
        redis: &mut MultiplexedConnection,
    ) -> Result<BTreeMap<u64, (String, String)>> {
        type Entry = (String, [String; 4]);
        let key = self.0.stream_key();
        let entries: Vec<Entry> =
            cmd("XRANGE").arg(key).arg("-").arg("+").query_async(redis).await?;
        let mut history = BTreeMap::new();
        for (id, [_, line, _, hash]) in entries {
            let number = id.strip_suffix("-0").context("an id that is not n-0")?.parse()?;
            history.insert(number, (line, hash));
        }
        Ok(history)
    }

    /// What Postgres's log holds.
    pub async fn log(&self, books: &PgPool) -> Result<BTreeMap<u64, (String, String)>> {
        let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
            "SELECT event_number, line, chain_hash FROM slot_audit_log WHERE product_id = $1",
        )
        .bind(self.uuid())
        .fetch_all(books)
        .await?;
        let row = |(n, line, hash): (i64, String, Vec<u8>)| (n as u64, (line, hex::encode(hash)));
        Ok(rows.into_iter().map(row).collect())
    }

    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(*self.0.as_bytes())
    }

    /// Waits until Postgres has as many events as the sale.
    pub async fn booked(&self, redis: &mut MultiplexedConnection, books: &PgPool) -> Result<i64> {
        let last: i64 = cmd("XREVRANGE")
            .arg(self.0.stream_key())
            .arg(&["+", "-", "COUNT", "1"])
            .query_async::<Vec<(String, Vec<String>)>>(redis)
            .await?
            .first()
            .and_then(|(id, _)| id.strip_suffix("-0")?.parse().ok())
            .context("an empty stream")?;
        until("Postgres to have every event", PATIENCE, async || {
            let mark: Option<i64> =
                sqlx::query_scalar("SELECT event_number FROM sink_marks WHERE product_id = $1")
                    .bind(self.uuid())
                    .fetch_optional(books)
                    .await?;
            Ok((mark >= Some(last)).then_some(()))
        })
        .await?;
        Ok(last)
    }
}

/// A message as a read_committed reader sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub key: String,
    pub number: Option<u64>,
    pub headers: HashMap<String, String>,
    pub payload: Vec<u8>,
}

/// Everything committed in a topic, in the partitions' order. Blocks.
pub fn committed(bootstrap: &str, topic: &str) -> Result<Vec<Seen>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "the-test")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    // Not a count: a partition's end can be told twice.
    let mut open: HashSet<i32> = all.elements().iter().map(|part| part.partition()).collect();
    consumer.assign(&all)?;
    let mut seen = Vec::new();
    while !open.is_empty() {
        match consumer.poll(PATIENCE).context("no word from Kafka")? {
            Err(KafkaError::PartitionEOF(partition)) => {
                open.remove(&partition);
            }
            Err(error) => return Err(error.into()),
            Ok(message) => {
                let text = |bytes: Option<&[u8]>| {
                    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                };
                let headers: HashMap<String, String> = message
                    .headers()
                    .map(|headers| headers.iter().map(|h| (h.key.into(), text(h.value))).collect())
                    .unwrap_or_default();
                seen.push(Seen {
                    key: text(message.key()),
                    number: headers.get("event-number").and_then(|n| n.parse().ok()),
                    headers,
                    payload: message.payload().unwrap_or_default().to_vec(),
                });
            }
        }
    }
    Ok(seen)
}

/// Waits until Kafka's mark of the sale is at the event, then gives a topic's messages of the sale.
pub async fn messages(
    bootstrap: &str,
    topic: &'static str,
    sale: TestSale,
    last: i64,
) -> Result<Vec<Seen>> {
    let key = sale.0.to_string();
    until("Kafka to have every event", PATIENCE, async || {
        let bootstrap = bootstrap.to_owned();
        let key = key.clone();
        let marks =
            tokio::task::spawn_blocking(move || committed(&bootstrap, "product.slot-sink-marks"))
                .await??;
        let mark = marks.iter().rfind(|mark| mark.key == key).map(|mark| -> Result<i64> {
            let mark: serde_json::Value = serde_json::from_slice(&mark.payload)?;
            mark.get("number").and_then(|n| n.as_i64()).context("a mark without number")
        });
        Ok((mark.transpose()? >= Some(last)).then_some(()))
    })
    .await?;
    let bootstrap = bootstrap.to_owned();
    let all = tokio::task::spawn_blocking(move || committed(&bootstrap, topic)).await??;
    Ok(all.into_iter().filter(|seen| seen.key == key).collect())
}

/// Runs `slot-persister audit`: the exit code and what it prints.
pub async fn audit(servers: &Servers, more: &[&str]) -> Result<(Option<i32>, String)> {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_slot-persister"))
        .args(["audit", "--redis-url", &servers.redis.url()])
        .args(["--postgres-url", &servers.postgres.url()])
        .args(more)
        .output()
        .await?;
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    Ok((output.status.code(), text.concat()))
}
