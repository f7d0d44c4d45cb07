//! The writer's epoch: raised at each start, so that a process which was believed dead can't write any more.
//!
//! Every transaction holds the writer's row with FOR SHARE until it commits; a newer process's raise waits for it, and
//! the next transaction of the older one finds a higher epoch and stops.

use sqlx::{PgConnection, PgPool};

use crate::sink::SinkError;

/// Raises the writer's epoch; the new one is this process's.
///
/// # Errors
/// Of the database.
pub async fn raise_epoch(pool: &PgPool, writer: i32) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO writers (writer, epoch, started_at) VALUES ($1, 1, now())
         ON CONFLICT (writer) DO UPDATE SET epoch = writers.epoch + 1, started_at = now()
         RETURNING epoch",
    )
    .bind(writer)
    .fetch_one(pool)
    .await
}

/// Makes sure, until the transaction ends, that this process is the newest of its writer.
///
/// # Errors
/// [`SinkError::Fenced`] where it is not.
pub async fn hold_epoch(
    transaction: &mut PgConnection,
    writer: i32,
    epoch: i64,
) -> Result<(), SinkError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT epoch FROM writers WHERE writer = $1 FOR SHARE")
            .bind(writer)
            .fetch_optional(transaction)
            .await?;
    if newest == Some(epoch) {
        return Ok(());
    }
    Err(SinkError::Fenced(format!(
        "postgres: this process is writer {writer} of epoch {epoch}, but epoch {} has started since; \
         stop one of the two, or give them different --writer numbers",
        newest.map_or_else(|| "no longer known".to_owned(), |epoch| epoch.to_string())
    )))
}
