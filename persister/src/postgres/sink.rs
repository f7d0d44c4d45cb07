//! The Postgres sink: one transaction per batch. First the writer's epoch and the marks, so that whoever may not
//! write finds out before he has; then the log; then the states.
//!
//! Exactly once: the rows and the marks commit together, and a mark moves only from where this process read it. After
//! any error, a commit's included, the drain opens the sink again, reads the marks, and goes on from there: so nobody
//! has to know whether a lost commit took place. Next: writer.rs, marks.rs.

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::marks::{Marks, SinkName};
use crate::postgres::{log, marks, products, purchases, slots, writer};
use crate::share::Share;
use crate::sink::{Batch, Sink, SinkError};

/// The schema, in the order in which it grew.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Postgres as a sink.
pub struct PostgresSink {
    pool: PgPool,
    share: Share,
    epoch: Option<i64>,
    payments: Arc<Notify>,
}

impl From<sqlx::Error> for SinkError {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(format!("postgres: {error}"))
    }
}

/// A pool of connections, none of them opened yet.
///
/// # Errors
/// [`Failure::Usage`] where the URL is none.
pub fn pool(url: &str, most: u32) -> Result<PgPool, Failure> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| {
            Failure::Usage(format!("--postgres-url must be postgres://user@host:port/db: {error}"))
        })?
        .application_name("slot-persister")
        // A process that vanished in the middle of a transaction must not hold its locks for long.
        .options([("idle_in_transaction_session_timeout", "15s")]);
    Ok(PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options))
}

impl PostgresSink {
    /// The sink; `payments` is told after each commit that starts a payment.
    #[must_use]
    pub const fn new(pool: PgPool, share: Share, payments: Arc<Notify>) -> Self {
        Self { pool, share, epoch: None, payments }
    }

    fn writer(&self) -> i32 {
        i32::try_from(self.share.writer).unwrap_or(i32::MAX)
    }
}

impl Sink for PostgresSink {
    const NAME: SinkName = SinkName::Postgres;

    async fn open(&mut self) -> Result<Marks, SinkError> {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => {
                MIGRATIONS
                    .run(&self.pool)
                    .await
                    .map_err(|error| SinkError::Retry(format!("postgres: migrations: {error}")))?;
                let epoch = writer::raise_epoch(&self.pool, self.writer()).await?;
                tracing::info!(
                    writer = self.share.writer,
                    epoch,
                    "postgres: this process writes now"
                );
                *self.epoch.insert(epoch)
            }
        };
        let mut transaction = self.pool.begin().await?;
        writer::hold_epoch(&mut transaction, self.writer(), epoch).await?;
        transaction.commit().await?;
        marks::read(&self.pool, self.share).await
    }

    async fn check(&mut self) -> Result<(), SinkError> {
        let epoch = self.epoch.ok_or_else(|| SinkError::Retry("postgres: not open".into()))?;
        let mut transaction = self.pool.begin().await?;
        writer::hold_epoch(&mut transaction, self.writer(), epoch).await?;
        Ok(transaction.commit().await?)
    }

    async fn commit(&mut self, batch: Batch) -> Result<(), SinkError> {
        let epoch = self.epoch.ok_or_else(|| SinkError::Retry("postgres: not open".into()))?;
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        writer::hold_epoch(&mut transaction, self.writer(), epoch).await?;
        marks::advance(&mut transaction, &batch, self.writer(), epoch).await?;
        log::append(&mut transaction, &batch).await?;
        products::apply(&mut transaction, &batch).await?;
        slots::apply(&mut transaction, &batch).await?;
        let payments = purchases::apply(&mut transaction, &batch).await?;
        transaction.commit().await?;
        if payments {
            self.payments.notify_one();
        }
        Ok(())
    }
}
