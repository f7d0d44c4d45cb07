//! Every payment that Postgres knows comes to an outcome: though no webhook arrives, though the gateway gives no
//! answer, though the persister is killed in between.

mod common;

use std::time::Duration;

use anyhow::Result;
use common::{Persister, Servers, TestSale, audit};
use slot_loadtest::stack::until;

#[tokio::test]
async fn every_charge_comes_to_its_outcome_without_a_single_webhook() -> Result<()> {
    let servers = Servers::start().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 200, &[]).await?;
    let secret = servers.redis.scratch().path().join("webhook-secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n")?;
    let secret = secret.display().to_string();
    // Nobody listens at the webhook's address: the outcomes come by asking.
    let flags = [
        "--gateway",
        "stub",
        "--gateway-webhook-url",
        "http://127.0.0.1:9/",
        "--webhook-secret-file",
        &secret,
        "--stub-success-rate",
        "0.7",
        "--stub-timeout-rate",
        "0.2",
        "--stub-latency-ms",
        "300",
        "--gateway-ask-after-ms",
        "100",
    ];
    let slots = sale.acquire(&mut redis, 0..200).await?;
    let mut persister = Persister::start(&servers, None, &flags)?;
    let charges = sale.pay(&mut redis, &slots).await?;
    sale.booked(&mut redis, &servers.books).await?;
    tokio::time::sleep(Duration::from_millis(150)).await;
    persister.kill9().await?;
    let _again = Persister::start(&servers, None, &flags)?;
    until("all payments to be settled", common::PATIENCE, async || {
        let open: i64 =
            sqlx::query_scalar("SELECT count(*) FROM purchases WHERE settled_at IS NULL")
                .fetch_one(&servers.books)
                .await?;
        Ok((open == 0).then_some(()))
    })
    .await?;
    let outcomes: Vec<(String, i64)> =
        sqlx::query_as("SELECT status, count(*) FROM purchases GROUP BY 1 ORDER BY 1")
            .fetch_all(&servers.books)
            .await?;
    let count = |status: &str| outcomes.iter().find(|(s, _)| s == status).map_or(0, |(_, n)| *n);
    assert_eq!(count("SUCCESS") + count("FAILED"), charges.len() as i64, "{outcomes:?}");
    assert!((110..170).contains(&count("SUCCESS")), "{outcomes:?}");
    let (code, report) = audit(&servers, &[]).await?;
    assert_eq!(code, Some(0), "{report}");
    Ok(())
}
