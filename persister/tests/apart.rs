//! A dead sink never stops the other, and catches up when it is back; streams are trimmed below the lower mark only.

mod common;

use anyhow::Result;
use common::{Persister, Servers, TestSale, apache_kafka, audit, messages};
use redis::cmd;
use slot_loadtest::stack::until;

async fn health(servers: &Servers, part: &str) -> Result<()> {
    let mut redis = servers.redis.connect().await?;
    until("the health that the edge reads", common::PATIENCE, async || {
        let told: Option<String> = cmd("GET").arg("slot:health:0").query_async(&mut redis).await?;
        Ok(told.is_some_and(|told| told.contains(part)).then_some(()))
    })
    .await
}

async fn stream_length(
    sale: TestSale,
    redis: &mut redis::aio::MultiplexedConnection,
) -> Result<u64> {
    Ok(cmd("XLEN").arg(sale.0.stream_key()).query_async(redis).await?)
}

#[tokio::test]
async fn postgres_goes_on_without_kafka_and_kafka_without_postgres() -> Result<()> {
    let mut servers = Servers::start().await?;
    let mut kafka = apache_kafka().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 5_000, &[]).await?;
    let mut persister =
        Persister::start(&servers, Some(kafka.bootstrap()), &["--trim-after-ms", "500"])?;
    sale.acquire(&mut redis, 0..100).await?;
    messages(kafka.bootstrap(), "product.slot-audit", sale, 101).await?;

    health(&servers, r#""database":"UP","kafka":"UP""#).await?;
    kafka.kill9().await?;
    // Also with nothing to bring.
    health(&servers, r#""database":"UP","kafka":"DOWN""#).await?;
    sale.acquire(&mut redis, 100..300).await?;
    assert_eq!(sale.booked(&mut redis, &servers.books).await?, 301);
    // Nothing that Kafka has not got yet is gone, however far Postgres is.
    assert!(stream_length(sale, &mut redis).await? >= 200);
    kafka.restart().await?;
    let audit_topic = messages(kafka.bootstrap(), "product.slot-audit", sale, 301).await?;
    let numbers: Vec<_> = audit_topic.iter().filter_map(|seen| seen.number).collect();
    assert_eq!(numbers, (1..=301).collect::<Vec<_>>());

    health(&servers, r#""database":"UP","kafka":"UP""#).await?;
    servers.postgres.kill9().await?;
    sale.acquire(&mut redis, 300..400).await?;
    let audit_topic = messages(kafka.bootstrap(), "product.slot-audit", sale, 401).await?;
    assert_eq!(audit_topic.len(), 401);
    servers.postgres.restart().await?;
    assert_eq!(sale.booked(&mut redis, &servers.books).await?, 401);
    until("the stream to be trimmed to its mark", common::PATIENCE, async || {
        Ok((stream_length(sale, &mut redis).await? == 1).then_some(()))
    })
    .await?;
    let (code, report) = audit(&servers, &["--json"]).await?;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(persister.stop().await?, Some(0), "{}", persister.log_text());
    Ok(())
}
