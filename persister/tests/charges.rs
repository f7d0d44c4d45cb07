//! Every payment that Postgres knows comes to an outcome: though no webhook arrives, though the gateway gives no
//! answer, though the persister is killed in between.

mod common;

use std::time::Duration;

use anyhow::Result;
use common::{Persister, Servers, TestSale, audit};
use redis::Value;
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

/// A slot's status, reclaim status, and whether it has an end.
type SlotRow = (String, Option<String>, bool);

async fn slot_row(servers: &Servers, slot: &str) -> Result<SlotRow> {
    let row = sqlx::query_as(
        "SELECT status, reclaim_status, ended_at IS NOT NULL FROM purchase_slots WHERE id = $1",
    );
    Ok(row.bind(uuid::Uuid::parse_str(slot)?).fetch_one(&servers.books).await?)
}

#[tokio::test]
async fn r8_a_late_success_revives_its_slot_and_a_charge_never_asked_for_moves_no_money()
-> Result<()> {
    let servers = Servers::start().await?;
    let mut redis = servers.redis.connect().await?;
    let short = ["TTL", "1000", "PAYMENTWINDOW", "1000"];
    let sale = TestSale::create(&mut redis, 10, &short).await?;
    let slots = sale.acquire(&mut redis, 0..2).await?;
    let charges = sale.pay(&mut redis, &slots).await?;
    let mut persister = Persister::start(&servers, None, &[])?;
    let late = slots[0].1.as_str();
    until("both slots to expire in Postgres", common::PATIENCE, async || {
        let expired: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sale_counts WHERE product_id = $1 AND expired = 2",
        )
        .bind(sale.uuid())
        .fetch_one(&servers.books)
        .await
        .unwrap_or_default();
        Ok((expired == 1).then_some(()))
    })
    .await?;
    assert_eq!(
        slot_row(&servers, late).await?,
        ("EXPIRED".into(), Some("AUTO_EXPIRED".into()), true)
    );
    let mut consume = sale.command("SLOT.CONSUME");
    consume.arg(&charges[0]).arg("gw-1").query_async::<Value>(&mut redis).await?;
    sale.booked(&mut redis, &servers.books).await?;
    assert_eq!(slot_row(&servers, late).await?, ("COMPLETED".into(), None, false));
    persister.stop().await?;

    // The other one failed by time before any gateway heard of it. A minute and more goes by.
    sqlx::query("UPDATE purchases SET updated_at = updated_at - interval '2 minutes'")
        .execute(&servers.books)
        .await?;
    let secret = servers.redis.scratch().path().join("webhook-secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n")?;
    let secret = secret.display().to_string();
    let stub = ["--gateway", "stub", "--gateway-webhook-url", "http://127.0.0.1:9/"];
    let flags = [&stub[..], &["--webhook-secret-file", &secret]].concat();
    let _again = Persister::start(&servers, None, &flags)?;
    let status: String = until("the payment to be settled", common::PATIENCE, async || {
        let settled = sqlx::query_scalar(
            "SELECT status FROM purchases WHERE charge_id = $1 AND settled_at IS NOT NULL",
        );
        Ok(settled.bind(&charges[1]).fetch_optional(&servers.books).await?)
    })
    .await?;
    assert_eq!(status, "FAILED");
    assert_eq!(slot_row(&servers, &slots[1].1).await?.0, "EXPIRED");
    Ok(())
}
