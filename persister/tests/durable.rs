//! With --durability replica a sink never knows more than a promoted replica would; with disk it wants a Redis that
//! syncs before it answers.

mod common;

use std::time::Duration;

use anyhow::Result;
use common::{Persister, Servers, TestSale};
use redis::cmd;
use slot_loadtest::stack::{AppendFsync, Postgres, RedisServer, until};

#[tokio::test]
async fn nothing_is_committed_that_no_replica_has() -> Result<()> {
    let servers = Servers::start().await?;
    let mut replica = RedisServer::builder().replica_of(&servers.redis).start().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 100, &[]).await?;
    let mut persister = Persister::start(&servers, None, &["--durability", "replica"])?;
    sale.acquire(&mut redis, 0..10).await?;
    assert_eq!(sale.booked(&mut redis, &servers.books).await?, 11);

    replica.kill9().await?;
    sale.acquire(&mut redis, 10..20).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(sale.log(&servers.books).await?.len(), 11, "events that only the primary has");
    replica.restart().await?;
    assert_eq!(sale.booked(&mut redis, &servers.books).await?, 21);
    assert_eq!(persister.stop().await?, Some(0), "{}", persister.log_text());
    assert!(persister.log_text().contains("0 of 1 confirmed"), "{}", persister.log_text());
    Ok(())
}

#[tokio::test]
async fn disk_wants_appendfsync_always_and_no_waitaof() -> Result<()> {
    let redis =
        RedisServer::builder().append_only(true).append_fsync(AppendFsync::EverySecond).start();
    let redis = redis.await?;
    let postgres = Postgres::builder().fsync(false).start().await?;
    let books = postgres.connect().await?;
    let servers = Servers { redis, postgres, books };
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 100, &[]).await?;
    let mut persister = Persister::start(&servers, None, &["--durability", "disk"])?;
    sale.acquire(&mut redis, 0..10).await?;
    until("the persister to say what it needs", common::PATIENCE, async || {
        let says = "--durability disk needs appendfsync always, it is everysec";
        Ok(persister.log_text().contains(says).then_some(()))
    })
    .await?;
    assert!(sale.log(&servers.books).await?.is_empty(), "events that may not be on disk");
    cmd("CONFIG").arg(&["SET", "appendfsync", "always"]).query_async::<()>(&mut redis).await?;
    assert_eq!(sale.booked(&mut redis, &servers.books).await?, 11);
    assert_eq!(persister.stop().await?, Some(0), "{}", persister.log_text());
    Ok(())
}
