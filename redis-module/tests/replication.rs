//! Replicas re-create the primary's bytes and never judge by themselves (R13).

mod shop;

use anyhow::Result;
use shop::{SOON, Sale, command, info, until_audit};
use slot_core::wire::{SlotStatus, UserView, Wire};
use slot_loadtest::stack::{RedisServer, until};

/// Waits until the replica has what the primary has, which time may still change.
async fn same(primary: &Sale, replica: &Sale) -> Result<()> {
    until("the primary's bytes", SOON, async || {
        let (mut primary, mut replica) = (primary.clone(), replica.clone());
        let (audit, stream) = (primary.audit().await?, primary.stream().await?);
        let equal = replica.audited().await?.is_some_and(|copy| copy == audit)
            && replica.stream().await? == stream;
        Ok(equal.then_some(()))
    })
    .await
}

#[tokio::test]
async fn r13_a_replica_and_its_replica_have_the_primarys_bytes() -> Result<()> {
    let primary = RedisServer::builder().start().await?;
    let mut before = Sale::open(&primary, 4, "").await?;
    before.live().await?;
    let replica = RedisServer::builder().replica_of(&primary).start().await?;
    let second = RedisServer::builder().replica_of(&replica).start().await?;
    let mut after = Sale::open(&primary, 4, "TTL 60000 EXPIRINGSOON 59500").await?;
    after.live().await?;
    after.write("SLOT.RESUME", &[]).await?;
    until("time to act on the primary", SOON, async || {
        let soon = |line: &String| line.contains("SLOT_EXPIRING_SOON");
        Ok(after.clone().lines(0).await?.iter().any(soon).then_some(()))
    })
    .await?;
    for server in [&replica, &second] {
        for sale in [&before, &after] {
            let copy = Sale::at(server, sale.product).await?;
            same(sale, &copy).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn r13_a_replicas_own_aof_brings_everything_back() -> Result<()> {
    let primary = RedisServer::builder().start().await?;
    let mut replica = RedisServer::builder().append_only(true).replica_of(&primary).start().await?;
    // After a full synchronisation the AOF is written anew, and is whole when that is done.
    let connection = replica.connect().await?;
    until("the replica's first rewrite", SOON, async || {
        let mut connection = connection.clone();
        let running = info(&mut connection, "aof_rewrite_in_progress").await?;
        let scheduled = info(&mut connection, "aof_rewrite_scheduled").await?;
        Ok((running == "0" && scheduled == "0").then_some(()))
    })
    .await?;
    let mut sale = Sale::open(&primary, 4, "").await?;
    sale.live().await?;
    let copy = Sale::at(&replica, sale.product).await?;
    same(&sale, &copy).await?;
    let (wanted, stream) = (sale.audit().await?, sale.stream().await?);
    replica.kill9().await?;
    let folder = replica.folder().to_str().unwrap_or_default().to_owned();
    let heir = RedisServer::builder().append_only(true).option("dir", &[&folder]).start().await?;
    let mut kept = Sale::at(&heir, sale.product).await?;
    assert_eq!(kept.audit().await?, wanted);
    assert_eq!(kept.stream().await?, stream);
    Ok(())
}

#[tokio::test]
async fn a_replica_never_sweeps_and_a_promoted_one_does() -> Result<()> {
    let mut primary = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&primary, 2, "TTL 3000 EXPIRINGSOON 0").await?;
    let replica = RedisServer::builder().replica_of(&primary).start().await?;
    let mut copy = Sale::at(&replica, sale.product).await?;
    sale.acquire("ana").await?;
    until_audit(&copy, "the grant", |audit| audit.active == 1).await?;
    primary.kill9().await?;
    let status = async || -> Result<Option<SlotStatus>> {
        let view = copy.clone().read("SLOT.USER", &["ana"]).await?;
        Ok(UserView::from_value(view)?.slots.first().map(|slot| slot.status))
    };
    // By the clock the slot has ended (R4) …
    until("the deadline", SOON, async || {
        Ok(status().await?.filter(|status| *status == SlotStatus::Expired))
    })
    .await?;
    // … and a sweeper would have had several ticks since.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let audit = copy.audit().await?;
    assert_eq!((audit.active, audit.events.0), (1, 2), "nothing has happened here");
    command(&mut copy.connection, &["REPLICAOF", "NO", "ONE"]).await?;
    let audit = until_audit(&copy, "the sweep", |audit| audit.expired == 1).await?;
    assert_eq!((audit.active, audit.stock), (0, 2));
    Ok(())
}

#[tokio::test]
async fn r13_events_that_do_not_continue_the_chain_are_refused() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let other = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 4, "").await?;
    sale.live().await?;
    let lines = sale.lines(0).await?;
    let wanted = sale.audit().await?;
    let origin = slot_core::chain::ChainHash::origin(&sale.product).to_string();
    let mut copy = Sale::at(&other, sale.product).await?;

    let mut words = vec!["2", origin.as_str()];
    words.extend(lines.iter().skip(1).map(String::as_str));
    assert!(copy.write("SLOT.APPLY", &words).await.is_err(), "no sale yet");
    let wrong = "0".repeat(32);
    assert!(copy.write("SLOT.APPLY", &["1", &wrong, &lines[0]]).await.is_err(), "wrong origin");
    copy.write("SLOT.APPLY", &["1", &origin, &lines[0]]).await?;
    let one = copy.audit().await?;
    for words in [
        vec!["1", origin.as_str(), &lines[0]],
        vec!["2", origin.as_str(), &lines[1]],
        vec!["3", &one.head.to_string(), &lines[2]],
        vec!["2", &one.head.to_string(), &lines[2]],
        vec!["2", &one.head.to_string(), "1 2 NONSENSE 0 -"],
    ] {
        assert!(copy.write("SLOT.APPLY", &words).await.is_err(), "{words:?}");
        assert_eq!(copy.audit().await?, one);
    }
    // Lines before a wrong one do continue the chain, and stay.
    let head = one.head.to_string();
    let words = ["2", &head, &lines[1], &lines[2], "1 4 NONSENSE 0 -"];
    assert!(copy.write("SLOT.APPLY", &words).await.is_err());
    let three = copy.audit().await?;
    assert_eq!(three.events.0, 3);
    assert_eq!(copy.lines(0).await?, lines[..3]);
    let head = three.head.to_string();
    let mut words = vec!["4", head.as_str()];
    words.extend(lines.iter().skip(3).map(String::as_str));
    copy.write("SLOT.APPLY", &words).await?;
    assert_eq!(copy.audit().await?, wanted);
    assert_eq!(copy.stream().await?, sale.stream().await?);
    Ok(())
}

#[tokio::test]
async fn a_fence_is_what_wait_counts() -> Result<()> {
    let primary = RedisServer::builder().start().await?;
    let _replica = RedisServer::builder().replica_of(&primary).start().await?;
    let mut sale = Sale::open(&primary, 1, "").await?;
    sale.acquire("ana").await?;
    sale.acquire("ana").await?;
    let before = sale.audit().await?;
    sale.write("SLOT.PAUSE", &[]).await?;
    let paused = sale.audit().await?;
    let offset = info(&mut sale.connection, "master_repl_offset").await?;
    sale.write("SLOT.FENCE", &[]).await?;
    assert_ne!(info(&mut sale.connection, "master_repl_offset").await?, offset);
    let acknowledged = command(&mut sale.connection, &["WAIT", "1", "10000"]).await?;
    assert_eq!(acknowledged, redis::Value::Int(1));
    assert_eq!(sale.audit().await?, paused);
    assert_ne!(before, paused);
    Ok(())
}
