//! `slot-persister run`: puts the parts together, waits for the word to stop, lets each finish what it is at.
//!
//! Each sink's drain is a task of its own. Only a drain that another process has replaced ends the whole; everything else
//! is tried again where it failed. Next: shared.rs, drain.rs.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::config::RunArgs;
use crate::drain::Drain;
use crate::failure::Failure;
use crate::health::Health;
use crate::kafka::sink::{Cluster, KafkaSink};
use crate::marks::{Committed, SinkName};
use crate::metrics::{self, Metrics};
use crate::postgres::sink::{self, PostgresSink};
use crate::share::Share;
use crate::shared::{Halted, Shared};
use crate::{gateway, health, trim};

/// How long the parts get to finish what they are at.
const GRACE: Duration = Duration::from_secs(15);
/// One for the drain, the rest for the gateway.
const CONNECTIONS: u32 = 4;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] where it can't start or another process has taken this one's place.
pub async fn run(args: RunArgs) -> Result<(), Failure> {
    args.check()?;
    let share = Share { writer: args.writer, writers: args.writers };
    let (stop, stopped) = watch::channel(false);
    let pool = sink::pool(&args.postgres_url, CONNECTIONS)?;
    redis::Client::open(args.redis_url.as_str()).map_err(|error| {
        Failure::Usage(format!("--redis-url must be redis://host:port: {error}"))
    })?;
    let gateway = gateway::from_args(&args.gateway)?;
    let listen = args.metrics_listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::Unavailable(format!("can't listen on --metrics-listen {listen}: {error}"))
    })?;
    let mut sinks = vec![SinkName::Postgres];
    let cluster = args.kafka_bootstrap.clone().map(|bootstrap| Cluster {
        bootstrap,
        partitions: args.kafka_partitions,
        replication: args.kafka_replication,
    });
    if cluster.is_some() {
        sinks.push(SinkName::Kafka);
    }
    let shared = Arc::new(Shared {
        share,
        metrics: Arc::new(Metrics::new()?),
        health: Arc::new(Health::new(cluster.is_some())),
        committed: Committed::new(sinks),
        halted: Halted::default(),
        stop: stopped,
        args,
    });
    let payments = Arc::new(Notify::new());
    let mut parts = JoinSet::new();
    let postgres = PostgresSink::new(pool.clone(), share, Arc::clone(&payments));
    parts.spawn(Drain::new(postgres, Arc::clone(&shared)).run());
    if let Some(cluster) = cluster {
        parts.spawn(Drain::new(KafkaSink::new(cluster, share)?, Arc::clone(&shared)).run());
    }
    if let Some(gateway) = gateway {
        let charges = gateway::charges::Charges::new(gateway, pool, Arc::clone(&shared), payments);
        parts.spawn(charges.run());
    }
    if !shared.args.keep_streams {
        let shared = Arc::clone(&shared);
        parts.spawn(async move {
            trim::run(&shared).await;
            Ok(())
        });
    }
    let figures = Arc::clone(&shared.metrics);
    let server = tokio::spawn(metrics::serve(listener, figures, Arc::clone(&shared.health)));
    let telling = Arc::clone(&shared);
    let teller = tokio::spawn(async move {
        let args = &telling.args;
        health::tell_redis(&args.redis_url, args.writer, &telling.health).await;
    });
    tracing::info!(writer = share.writer, writers = share.writers, %listen, "running");
    let outcome = until_done(&mut parts, &stop).await;
    server.abort();
    teller.abort();
    tracing::info!("stopped");
    outcome
}

/// Waits for the word to stop or a part that can't go on, then for all parts.
async fn until_done(
    parts: &mut JoinSet<Result<(), Failure>>,
    stop: &watch::Sender<bool>,
) -> Result<(), Failure> {
    let mut outcome = tokio::select! {
        word = stop_word() => word,
        part = parts.join_next() => joined(part),
    };
    stop.send_replace(true);
    let rest = async {
        while let Some(part) = parts.join_next().await {
            let ended = joined(Some(part));
            if outcome.is_ok() {
                outcome = ended;
            }
        }
    };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        tracing::warn!(
            "some parts did not finish within 15 s; what they were at is done again at the next start"
        );
    }
    outcome
}

type Joined = Result<Result<(), Failure>, tokio::task::JoinError>;

fn joined(part: Option<Joined>) -> Result<(), Failure> {
    match part {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(Failure::Unavailable(format!("a part broke: {error}"))),
    }
}

async fn stop_word() -> Result<(), Failure> {
    let broken = |error| Failure::Unavailable(format!("can't listen for signals: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(broken)?;
    let mut int = signal(SignalKind::interrupt()).map_err(broken)?;
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: finishing"),
        _ = int.recv() => tracing::info!("SIGINT: finishing"),
    }
    Ok(())
}
