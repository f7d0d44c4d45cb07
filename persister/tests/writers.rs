//! Of two processes that are the same writer, the older one ends with a clear word, at either sink.

mod common;

use std::time::Duration;

use anyhow::Result;
use common::{Persister, Servers, TestSale, apache_kafka, messages};
use slot_loadtest::stack::until;

#[tokio::test]
async fn an_older_writer_is_fenced_by_postgres() -> Result<()> {
    let servers = Servers::start().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 100, &[]).await?;
    let mut older = Persister::start(&servers, None, &["--keep-streams"])?;
    sale.booked(&mut redis, &servers.books).await?;
    let _newer = Persister::start(&servers, None, &["--keep-streams"])?;
    until("the newer writer's epoch", common::PATIENCE, async || {
        let epoch: i64 =
            sqlx::query_scalar("SELECT epoch FROM writers").fetch_one(&servers.books).await?;
        Ok((epoch == 2).then_some(()))
    })
    .await?;
    sale.acquire(&mut redis, 0..50).await?;
    assert_eq!(older.ended().await?, Some(3), "{}", older.log_text());
    assert!(older.log_text().contains("epoch 2 has started since"), "{}", older.log_text());
    sale.booked(&mut redis, &servers.books).await?;
    assert_eq!(sale.log(&servers.books).await?, sale.history(&mut redis).await?);
    Ok(())
}

#[tokio::test]
async fn an_older_writer_is_fenced_by_kafka() -> Result<()> {
    // Two databases: only Kafka can tell the two processes of each other.
    let (one, two) = (Servers::start().await?, Servers::start().await?);
    let kafka = apache_kafka().await?;
    let mut redis = one.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 100, &[]).await?;
    let mut older = Persister::start(&one, Some(kafka.bootstrap()), &["--keep-streams"])?;
    messages(kafka.bootstrap(), "product.slot-audit", sale, 1).await?;
    let newer = Servers { redis: one.redis, ..two };
    let _newer = Persister::start(&newer, Some(kafka.bootstrap()), &["--keep-streams"])?;
    sale.booked(&mut redis, &newer.books).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    sale.acquire(&mut redis, 0..50).await?;
    assert_eq!(older.ended().await?, Some(3), "{}", older.log_text());
    assert!(older.log_text().contains("kafka: another process has started as writer 0"));
    let audit = messages(kafka.bootstrap(), "product.slot-audit", sale, 51).await?;
    let numbers: Vec<_> = audit.iter().filter_map(|seen| seen.number).collect();
    assert_eq!(numbers, (1..=51).collect::<Vec<_>>());
    Ok(())
}
