//! `slot-persister migrate`: brings the Postgres schema up to date. Forward only; two at once wait for each other.

use crate::config::MigrateArgs;
use crate::failure::Failure;
use crate::postgres::sink::{MIGRATIONS, pool};

/// Applies what is missing.
///
/// # Errors
/// [`Failure`] where the database can't be reached or a migration does not apply.
pub async fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let pool = pool(&args.postgres_url, 1)?;
    MIGRATIONS
        .run(&pool)
        .await
        .map_err(|error| Failure::Unavailable(format!("migrations: {error}")))?;
    tracing::info!(migrations = MIGRATIONS.iter().count(), "the schema is up to date");
    Ok(())
}
