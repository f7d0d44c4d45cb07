//! What a restart, a rewrite, a reload and a crash leave: the same state, to the bit (R13).

mod shop;

use anyhow::Result;
use shop::{SOON, Sale, command, info};
use slot_core::wire::AcquireReply;
use slot_loadtest::stack::{AppendFsync, RedisServer, until};

#[tokio::test]
async fn r13_a_restart_with_aof_gives_the_same_digest_and_selling_goes_on() -> Result<()> {
    let mut server = RedisServer::builder().append_only(true).start().await?;
    let mut sale = Sale::open(&server, 4, "LIMIT 2").await?;
    sale.live().await?;
    let (before, stream) = (sale.audit().await?, sale.stream().await?);
    server.restart().await?;
    let mut sale = Sale::at(&server, sale.product).await?;
    assert_eq!(sale.audit().await?, before);
    assert_eq!(sale.stream().await?, stream);
    sale.write("SLOT.RESUME", &[]).await?;
    assert!(sale.audit().await?.events > before.events);
    Ok(())
}

async fn rewritten(preamble: bool) -> Result<()> {
    let builder = RedisServer::builder().append_only(true).aof_use_rdb_preamble(preamble);
    let mut server = builder.start().await?;
    let mut sale = Sale::open(&server, 4, "").await?;
    sale.live().await?;
    let mut other = Sale::open(&server, 1, "").await?;
    command(&mut sale.connection, &["BGREWRITEAOF"]).await?;
    let mut connection = sale.connection.clone();
    until("the rewrite", SOON, async || {
        let mut connection = connection.clone();
        let running = info(&mut connection, "aof_rewrite_in_progress").await?;
        Ok((running == "0").then_some(()))
    })
    .await?;
    assert_eq!(info(&mut connection, "aof_last_bgrewrite_status").await?, "ok");
    other.acquire("zoe").await?;
    let before = (sale.audit().await?, sale.stream().await?, other.audit().await?);
    server.restart().await?;
    let mut sale = Sale::at(&server, sale.product).await?;
    let mut other = Sale::at(&server, other.product).await?;
    assert_eq!((sale.audit().await?, sale.stream().await?, other.audit().await?), before);
    assert!(matches!(other.acquire("zoe").await?, AcquireReply::Held(_)));
    Ok(())
}

#[tokio::test]
async fn r13_an_aof_rewrite_with_preamble_keeps_the_digest() -> Result<()> {
    rewritten(true).await
}

#[tokio::test]
async fn r13_an_aof_rewrite_without_preamble_keeps_the_digest() -> Result<()> {
    rewritten(false).await
}

#[tokio::test]
async fn r13_an_rdb_reload_and_dump_and_copy_keep_the_digest() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 4, "").await?;
    sale.live().await?;
    let before = sale.audit().await?;
    let key = sale.product.sale_key();
    let mut connection = sale.connection.clone();
    let digest = command(&mut connection, &["DEBUG", "DIGEST"]).await?;

    command(&mut connection, &["DEBUG", "RELOAD"]).await?;
    assert_eq!(sale.audit().await?, before);
    assert_eq!(command(&mut connection, &["DEBUG", "DIGEST"]).await?, digest);

    let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await?;
    command(&mut connection, &["DEL", &key]).await?;
    assert_eq!(sale.read("SLOT.SALE", &[]).await?, slot_core::wire::Value::Null);
    redis::cmd("RESTORE").arg(&key).arg(0).arg(dump).exec_async(&mut connection).await?;
    assert_eq!(sale.audit().await?, before);

    command(&mut connection, &["COPY", &key, &key, "DB", "3"]).await?;
    command(&mut connection, &["SELECT", "3"]).await?;
    assert_eq!(sale.audit().await?, before);
    command(&mut connection, &["SELECT", "0"]).await?;
    let renamed = command(&mut connection, &["COPY", &key, "elsewhere"]).await;
    assert!(renamed.is_err(), "no command could reach it there: {renamed:?}");

    sale.write("SLOT.RESUME", &[]).await?;
    Ok(())
}

/// A changed blob is an error, and the server lives.
#[tokio::test]
async fn a_changed_dump_is_refused_or_another_sound_sale() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 4, "").await?;
    sale.live().await?;
    let key = sale.product.sale_key();
    let mut connection = sale.connection.clone();
    let before = sale.audit().await?;
    let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await?;
    command(&mut connection, &["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "1"]).await?;
    // The first ten bytes are Redis's own (type, opcode, length), the last ten its version and checksum.
    let mut refused = 0;
    for at in 10..dump.len() - 10 {
        let mut changed = dump.clone();
        changed[at] ^= 0x55;
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&key).arg(0).arg(changed).arg("REPLACE");
        if restore.exec_async(&mut connection).await.is_err() {
            refused += 1;
            continue;
        }
        // A byte of a name or a time, say. Whatever it is now can be looked at.
        drop(sale.audited().await);
        command(&mut connection, &["DEBUG", "RELOAD"]).await?;
    }
    assert!(refused > 20, "only {refused} of {} were refused", dump.len());
    let mut restore = redis::cmd("RESTORE");
    restore.arg(&key).arg(0).arg(&dump[..dump.len() / 2]).arg("REPLACE");
    assert!(restore.exec_async(&mut connection).await.is_err(), "cut short");
    let mut restore = redis::cmd("RESTORE");
    restore.arg(&key).arg(0).arg(&dump).arg("REPLACE").exec_async(&mut connection).await?;
    assert_eq!(sale.audit().await?, before);
    Ok(())
}

#[tokio::test]
async fn kill_9_with_appendfsync_always_loses_nothing() -> Result<()> {
    let builder = RedisServer::builder().append_only(true).append_fsync(AppendFsync::Always);
    let mut server = builder.start().await?;
    let sale = Sale::open(&server, 100_000, "").await?;
    let product = sale.product;
    let mut clients = Vec::new();
    for client in 0..8 {
        let mut sale = Sale::at(&server, product).await?;
        clients.push(tokio::spawn(async move {
            let mut granted = Vec::new();
            for n in 0.. {
                let user = format!("buyer-{client}-{n}");
                match sale.acquire(&user).await {
                    Ok(AcquireReply::Acquired(held)) => granted.push((user, held.slot)),
                    _ => break,
                }
            }
            granted
        }));
    }
    shop::until_audit(&sale, "some sales", |audit| audit.active > 300).await?;
    server.kill9().await?;
    let mut granted = Vec::new();
    for client in clients {
        granted.extend(client.await?);
    }
    server.restart().await?;
    let mut sale = Sale::at(&server, product).await?;
    assert!(granted.len() > 300);
    assert!(usize::try_from(sale.audit().await?.active)? >= granted.len());
    for (user, slot) in granted {
        match sale.acquire(&user).await? {
            AcquireReply::Held(held) => assert_eq!(held.slot, slot),
            other => panic!("{user} was granted {slot} and now is {other:?}"),
        }
    }
    Ok(())
}
