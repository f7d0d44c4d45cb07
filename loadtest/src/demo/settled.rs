//! Waits until nothing moves any more: payments have their outcome, slots that should expire have, and both
//! sinks hold every event. Next: witness.rs.

use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use redis::aio::MultiplexedConnection;
use slot_core::ids::ProductId;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use super::witness;

/// A sale, and whether its slots are short-lived, so that all of them will have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    pub(super) product: ProductId,
    pub(super) ends: bool,
}

const LIMIT: Duration = Duration::from_secs(180);

/// # Errors
/// Where it takes longer than three minutes; the message says what was missing.
pub(super) async fn wait(
    redis: &mut MultiplexedConnection,
    pool: &PgPool,
    kafka: &str,
    sales: &[Awaited],
    progress: &ProgressBar,
) -> Result<Duration> {
    let start = Instant::now();
    let mut lag = None;
    loop {
        let missing = missing(redis, pool, sales).await?;
        if missing.moving {
            lag = None;
        } else if lag.is_none() {
            lag = Some(Instant::now());
        }
        let missing = match missing.what {
            Some(what) => what,
            None => match kafka_missing(kafka, redis, sales).await? {
                Some(what) => what,
                None => return Ok(lag.map_or(Duration::ZERO, |since| since.elapsed())),
            },
        };
        progress.set_message(missing.clone());
        if start.elapsed() > LIMIT {
            bail!("the sinks have not caught up within {LIMIT:?}: {missing}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

struct Missing {
    what: Option<String>,
    /// Whether the sales themselves still change.
    moving: bool,
}

async fn missing(
    redis: &mut MultiplexedConnection,
    pool: &PgPool,
    sales: &[Awaited],
) -> Result<Missing> {
    for awaited in sales {
        let sale = witness::sale(redis, awaited.product).await?;
        let what = if sale.paying > 0 {
            Some(format!("{}: {} payments in flight", sale.name, sale.paying))
        } else if awaited.ends && (sale.active > 0 || (sale.waiting > 0 && sale.stock > 0)) {
            Some(format!("{}: {} slots held, {} waiting", sale.name, sale.active, sale.waiting))
        } else {
            None
        };
        if what.is_some() {
            return Ok(Missing { what, moving: true });
        }
        let rows = witness::postgres_count(pool, awaited.product).await?;
        if rows < sale.events.0 {
            let what = format!("{}: Postgres has {rows} of {} events", sale.name, sale.events);
            return Ok(Missing { what: Some(what), moving: false });
        }
    }
    Ok(Missing { what: None, moving: false })
}

async fn kafka_missing(
    bootstrap: &str,
    redis: &mut MultiplexedConnection,
    sales: &[Awaited],
) -> Result<Option<String>> {
    let bootstrap = bootstrap.to_owned();
    let topics = tokio::task::spawn_blocking(move || witness::kafka(&bootstrap)).await??;
    for awaited in sales {
        let sale = witness::sale(redis, awaited.product).await?;
        let messages = topics.get(&awaited.product).map_or(0, |sale| sale.audit.len() as u64);
        if messages < sale.events.0 {
            return Ok(Some(format!(
                "{}: Kafka has {messages} of {} events",
                sale.name, sale.events
            )));
        }
    }
    Ok(None)
}
