//! The whole stack: Redis with the module, Postgres, Kafka, then the edge, then the persister.
//! Next: `redis.rs` is the first part.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::child::Lifetime;
use super::edge::{Durability, Edge, EdgeBuilder, Role};
use super::kafka::{Kafka, KafkaBuilder, KafkaKind};
use super::persister::{Gateway, Persister, PersisterBuilder};
use super::postgres::{Postgres, PostgresBuilder};
use super::record::{StackRecord, start_of};
use super::redis::{AppendFsync, RedisBuilder, RedisServer};
use super::scratch::Scratch;
use super::secrets::Secrets;

/// What a [`Stack`] is to be. The parts' own scratch folder, lifetime and durability are set by the
/// stack.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Where the files go, and stay; without, a temporary folder.
    pub scratch: Option<PathBuf>,
    /// Whether it ends with this process.
    pub lifetime: Lifetime,
    /// For edge and persister, with the Redis settings and the replica that it needs.
    pub durability: Durability,
    /// How many replicas; at least one where `durability` is `Replica`.
    pub replicas: usize,
    /// The primary, and the replicas.
    pub redis: RedisBuilder,
    /// The database.
    pub postgres: PostgresBuilder,
    /// The broker.
    pub kafka: KafkaBuilder,
    /// The HTTP door.
    pub edge: EdgeBuilder,
    /// The sidecar; its webhook is set to the stack's edge.
    pub persister: PersisterBuilder,
}

impl Default for StackOptions {
    /// A temporary stack without replicas whose stub gateway lets every charge succeed.
    fn default() -> Self {
        let gateway = Gateway::Stub {
            success_rate: 1.0,
            latency: Duration::from_millis(20),
            lost_webhook_rate: 0.0,
        };
        Self {
            scratch: None,
            lifetime: Lifetime::Tied,
            durability: Durability::Memory,
            replicas: 0,
            redis: RedisServer::builder(),
            postgres: Postgres::builder(),
            kafka: Kafka::builder(),
            edge: Edge::builder(),
            persister: Persister::builder().gateway(gateway),
        }
    }
}

/// One line about a part that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The part: `redis`, `replica`, `postgres`, `kafka`, `edge`, `persister`.
    pub part: &'static str,
    /// Where it is reached.
    pub place: String,
    /// How long it took.
    pub took: Duration,
    /// What a person should know about it.
    pub note: Option<String>,
}

/// A running stack; all of it ends when dropped, the writers before what they write to.
#[derive(Debug)]
pub struct Stack {
    /// Carries the streams to the sinks.
    pub persister: Persister,
    /// The HTTP door.
    pub edge: Edge,
    /// The broker.
    pub kafka: Kafka,
    /// The database.
    pub postgres: Postgres,
    /// They follow `redis`.
    pub replicas: Vec<RedisServer>,
    /// The judge.
    pub redis: RedisServer,
    /// What tokens and webhooks are signed with.
    pub secrets: Secrets,
    /// Where all of it writes.
    pub scratch: Scratch,
}

impl Stack {
    /// Starts all parts and waits until all are healthy; tells `progress` about each.
    ///
    /// # Errors
    /// The first part's that does not start; the others are stopped again.
    pub async fn start(options: StackOptions, progress: impl Fn(Progress)) -> Result<Self> {
        let scratch = options.scratch.as_deref().map_or_else(Scratch::temporary, Scratch::at)?;
        let secrets = Secrets::make(&scratch)?;
        let (lifetime, durability) = (options.lifetime, options.durability);

        // These three know nothing of each other, and Kafka is slow.
        let redis = async {
            let mut builder = options.redis.scratch(&scratch).lifetime(lifetime);
            if durability == Durability::Disk {
                builder = builder.append_only(true).append_fsync(AppendFsync::Always);
            }
            let needed = usize::from(durability == Durability::Replica);
            start_redis(builder, options.replicas.max(needed), &progress).await
        };
        let postgres = async {
            let begin = Instant::now();
            let builder = options.postgres.scratch(&scratch).lifetime(lifetime);
            let postgres = builder.start().await.context("Postgres did not start")?;
            progress(ready("postgres", postgres.url(), begin));
            Ok(postgres)
        };
        let kafka = async {
            let begin = Instant::now();
            let builder = options.kafka.scratch(&scratch).lifetime(lifetime);
            let kafka = builder.start().await.context("Kafka did not start")?;
            let note = kafka_note(&kafka);
            progress(Progress { note, ..ready("kafka", kafka.bootstrap().to_string(), begin) });
            Ok(kafka)
        };
        let ((redis, replicas), postgres, kafka) = tokio::try_join!(redis, postgres, kafka)?;

        let begin = Instant::now();
        let edge = options.edge.scratch(&scratch).secrets(&secrets).lifetime(lifetime);
        let edge = edge.durability(durability).start(&redis.url()).await;
        let edge = edge.context("the edge did not start")?;
        progress(ready("edge", edge.url(), begin));

        let begin = Instant::now();
        let persister = options.persister.scratch(&scratch).webhook(&edge).lifetime(lifetime);
        let persister = persister
            .durability(durability)
            .start(&redis.url(), &postgres.url(), kafka.bootstrap())
            .await
            .context("the persister did not start")?;
        progress(ready("persister", persister.url(), begin));

        Ok(Self { persister, edge, kafka, postgres, replicas, redis, secrets, scratch })
    }

    /// Stops all parts gracefully, the writers before what they write to.
    ///
    /// # Errors
    /// The first part's that does not end; the others are killed.
    pub async fn stop(mut self) -> Result<()> {
        self.edge.stop().await?;
        self.persister.stop().await?;
        if self.kafka.kind() == KafkaKind::Apache {
            self.kafka.stop().await?;
        }
        self.postgres.stop().await?;
        for replica in &mut self.replicas {
            replica.stop().await?;
        }
        self.redis.stop().await
    }

    /// How to reach it, and how to stop it once this process is gone.
    ///
    /// # Errors
    /// If no admin's token can be made.
    pub async fn record(&self) -> Result<StackRecord> {
        let mut processes = vec![
            ("edge".to_string(), self.edge.pid()),
            ("persister".to_string(), self.persister.pid()),
            ("kafka".to_string(), self.kafka.pid()),
            ("postgres".to_string(), self.postgres.pid()),
            ("redis".to_string(), self.redis.pid()),
        ];
        for (number, replica) in self.replicas.iter().enumerate() {
            processes.push((format!("replica-{}", number + 1), replica.pid()));
        }
        let pids: BTreeMap<String, u32> =
            processes.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect();
        let started =
            pids.iter().filter_map(|(name, pid)| Some((name.clone(), start_of(*pid)?))).collect();
        Ok(StackRecord {
            edge_url: self.edge.url(),
            redis_url: self.redis.url(),
            postgres_url: self.postgres.url(),
            kafka_bootstrap: self.kafka.bootstrap().to_string(),
            kafka: self.kafka.kind().to_string(),
            persister_url: self.persister.url(),
            admin_token: self.edge.token("admin", Role::Admin).await?,
            token_command: self.edge.token_command()?,
            webhook_secret: self.secrets.webhook()?,
            scratch: self.scratch.path().to_path_buf(),
            pids,
            started,
        })
    }

    /// Lets go of a stack with a detached lifetime: it keeps running, and [`StackRecord`] stops it.
    pub fn leave_running(mut self) {
        // A temporary folder goes with its last clone; this one never does.
        std::mem::forget(self.scratch.clone());
        self.persister.let_live();
        self.edge.let_live();
        self.kafka.let_live();
        self.postgres.let_live();
        self.replicas.iter_mut().for_each(RedisServer::let_live);
        self.redis.let_live();
    }
}

async fn start_redis(
    builder: RedisBuilder,
    replicas: usize,
    progress: &impl Fn(Progress),
) -> Result<(RedisServer, Vec<RedisServer>)> {
    let begin = Instant::now();
    let redis = builder.clone().start().await.context("Redis did not start")?;
    progress(ready("redis", redis.url(), begin));
    let mut followers = Vec::with_capacity(replicas);
    for _ in 0..replicas {
        let begin = Instant::now();
        let replica = builder.clone().any_port().replica_of(&redis).start().await;
        let replica = replica.context("a replica did not start")?;
        progress(ready("replica", replica.url(), begin));
        followers.push(replica);
    }
    Ok((redis, followers))
}

fn ready(part: &'static str, place: String, begin: Instant) -> Progress {
    Progress { part, place, took: begin.elapsed(), note: None }
}

fn kafka_note(kafka: &Kafka) -> Option<String> {
    kafka.why_mock().map(|why| {
        format!(
            "librdkafka's in-process mock broker, not Apache Kafka ({why}): everything runs, but \
             exactly-once delivery to Kafka is not proven this way"
        )
    })
}
