//! A whole local stack on free ports in a scratch folder, and each of its parts alone.
//!
//! Every part is a real server in a process of its own, started by a builder and stopped by `stop`,
//! `kill9` or its drop. A part that its starter did not get to stop (a killed test) is killed by the
//! kernel; see `child.rs`. Nothing here decides what is run against the stack.
//!
//! Reading order: `whole.rs` puts the parts together; `redis.rs`, `postgres.rs`, `kafka.rs`
//! (`apache_kafka.rs` with `kafka_jars.rs`, or `mock_kafka.rs`), `edge.rs` and `persister.rs` start
//! one each; they stand on `child.rs`, `ports.rs`, `scratch.rs`, `binaries.rs` and `until.rs`.
//! `record.rs` is how a stack that outlives its starter is found and stopped again.

mod apache_kafka;
mod binaries;
mod child;
mod edge;
mod kafka;
mod kafka_jars;
mod mock_kafka;
mod persister;
mod ports;
mod postgres;
mod record;
mod redis;
mod scratch;
mod secrets;
mod service;
mod until;
mod whole;

pub use binaries::{target_folder, workspace_folder};
pub use child::Lifetime;
pub use edge::{Durability, Edge, EdgeBuilder, Role};
pub use kafka::{Kafka, KafkaBuilder, KafkaChoice, KafkaKind};
pub use mock_kafka::MockKafka;
pub use persister::{Gateway, Persister, PersisterBuilder};
pub use postgres::{Postgres, PostgresBuilder};
pub use record::{StackRecord, stop_recorded};
pub use redis::{AppendFsync, RedisBuilder, RedisServer};
pub use scratch::Scratch;
pub use secrets::Secrets;
pub use until::until;
pub use whole::{Progress, Stack, StackOptions};
