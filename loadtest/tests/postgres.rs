//! A Postgres of our own starts, keeps commits through kill −9, and is gone with its owner.

use std::path::Path;

use anyhow::{Context, Result};
use slot_loadtest::stack::{Postgres, Scratch};
use sqlx::PgPool;

async fn count(pool: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(pool).await?)
}

#[tokio::test]
async fn keeps_commits_through_kill9_and_is_gone_after_drop() -> Result<()> {
    let mut postgres = Postgres::builder().without_migrations().start().await?;
    let pool = postgres.connect().await?;
    sqlx::query("CREATE TABLE kept (n bigint)").execute(&pool).await?;
    sqlx::query("INSERT INTO kept VALUES (1)").execute(&pool).await?;

    postgres.kill9().await?;
    postgres.restart().await?;
    let pool = postgres.connect().await?;
    assert_eq!(count(&pool).await?, 1);

    postgres.restart().await?;
    assert_eq!(count(&postgres.connect().await?).await?, 1);

    let pid = postgres.pid().context("no process")?;
    let scratch = postgres.scratch().path().to_path_buf();
    drop(postgres);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the server outlived its owner");
    assert!(!scratch.exists(), "the scratch folder outlived its owner");
    Ok(())
}

#[tokio::test]
async fn applies_migrations_once() -> Result<()> {
    let migrations = tempfile::tempdir()?;
    std::fs::write(
        migrations.path().join("0001_first.sql"),
        "CREATE TABLE kept (n bigint); INSERT INTO kept VALUES (1);",
    )?;
    let builder = Postgres::builder().fsync(false).migrations(migrations.path());
    let postgres = builder.start().await?;
    assert_eq!(count(&postgres.connect().await?).await?, 1);

    postgres.migrate(migrations.path()).await?;
    assert_eq!(count(&postgres.connect().await?).await?, 1);
    Ok(())
}

#[tokio::test]
async fn runs_where_its_unprivileged_user_cannot_go() -> Result<()> {
    // Only its owner can walk into a temporary folder.
    let closed = tempfile::tempdir()?;
    let scratch = Scratch::at(&closed.path().join("stack"))?;
    let builder = Postgres::builder().without_migrations().fsync(false);
    let postgres = builder.scratch(&scratch).start().await?;
    postgres.connect().await?;

    let folder = scratch.path().join("postgres").canonicalize()?;
    assert!(folder.exists());
    drop(postgres);
    scratch.remove()?;
    assert!(!folder.exists(), "its folder elsewhere outlived the scratch folder");
    Ok(())
}
