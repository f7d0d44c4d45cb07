//! The audit finds what is wrong, and a sale whose history forked stands still while the others go on.

mod common;

use anyhow::Result;
use common::{Persister, Servers, TestSale, audit};
use redis::{Value, cmd};

#[tokio::test]
async fn r13_the_audit_names_what_was_changed_in_the_books() -> Result<()> {
    let servers = Servers::start().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 10, &["TTL", "300000"]).await?;
    let mut persister = Persister::start(&servers, None, &[])?;
    let slots = sale.acquire(&mut redis, 0..12).await?;
    assert_eq!(slots.len(), 10);
    sale.pay(&mut redis, &slots[..3]).await?;
    sale.booked(&mut redis, &servers.books).await?;
    let (code, report) = audit(&servers, &[]).await?;
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("live sale compared at event 14  ok"), "{report}");
    persister.stop().await?;

    for (change, undo, says) in [
        (
            "UPDATE purchase_slots SET status = 'COMPLETED' WHERE arrival_number = 4",
            "UPDATE purchase_slots SET status = 'ACTIVE' WHERE arrival_number = 4",
            "slot 4 is",
        ),
        (
            "UPDATE slot_audit_log SET line = replace(line, 'user-5', 'user-x')",
            "UPDATE slot_audit_log SET line = replace(line, 'user-x', 'user-5')",
            "R13: event 7 has another hash",
        ),
        (
            "UPDATE slot_audit_log SET event_number = 99 WHERE event_number = 8",
            "UPDATE slot_audit_log SET event_number = 8 WHERE event_number = 99",
            "R13: the log goes from event 7 to 9",
        ),
        (
            "UPDATE purchases SET status = 'SUCCESS' WHERE attempt = 1",
            "UPDATE purchases SET status = 'PENDING' WHERE attempt = 1",
            "its row says SUCCESS",
        ),
    ] {
        sqlx::query(change).execute(&servers.books).await?;
        let (code, report) = audit(&servers, &[]).await?;
        assert_eq!(code, Some(1), "{change}: {report}");
        assert!(report.contains(says), "{change}: {report}");
        sqlx::query(undo).execute(&servers.books).await?;
    }
    let (code, report) = audit(&servers, &[]).await?;
    assert_eq!(code, Some(0), "{report}");

    // Events that the books don't have yet, and nobody brings.
    sale.acquire(&mut redis, 20..21).await?;
    let _: Value = sale.command("SLOT.PAUSE").query_async(&mut redis).await?;
    let (code, report) = audit(&servers, &["--wait-secs", "0"]).await?;
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("postgres has not caught up"), "{report}");
    Ok(())
}

#[tokio::test]
async fn r13_a_forked_sale_stands_still_and_the_others_go_on() -> Result<()> {
    let servers = Servers::start().await?;
    let mut redis = servers.redis.connect().await?;
    let forked = TestSale::create(&mut redis, 10, &[]).await?;
    let sound = TestSale::create(&mut redis, 10, &[]).await?;
    let mut persister = Persister::start(&servers, None, &[])?;
    forked.booked(&mut redis, &servers.books).await?;
    sound.booked(&mut redis, &servers.books).await?;
    persister.stop().await?;

    // As if a failover had lost the event that Postgres knows and made another.
    sqlx::query("UPDATE sink_marks SET chain_hash = $1 WHERE product_id = $2")
        .bind([7_u8; 16].as_slice())
        .bind(forked.uuid())
        .execute(&servers.books)
        .await?;
    let mut persister = Persister::start(&servers, None, &[])?;
    sound.acquire(&mut redis, 0..5).await?;
    sound.booked(&mut redis, &servers.books).await?;
    let status =
        slot_loadtest::stack::until("the sale to be paused", common::PATIENCE, async || {
            let sale: Vec<Value> =
                cmd("SLOT.SALE").arg(forked.0.sale_key()).query_async(&mut redis).await?;
            let paused = sale.contains(&Value::BulkString(b"PAUSED".to_vec()));
            Ok(paused.then_some("PAUSED"))
        })
        .await?;
    assert_eq!(status, "PAUSED");
    assert_eq!(forked.log(&servers.books).await?.len(), 1, "a forked sale went on");
    assert!(persister.log_text().contains("the sale's history forked"), "{}", persister.log_text());
    assert_eq!(persister.stop().await?, Some(0));
    Ok(())
}
