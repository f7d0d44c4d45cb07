//! Time acts by itself, within a second (R4, R5, R12), and leaves what it may not touch alone.

mod shop;

use std::time::{Duration, Instant};

use anyhow::Result;
use shop::{SOON, Sale, command, until_audit};
use slot_core::event::{Change, Event};
use slot_core::wire::AcquireReply;
use slot_loadtest::stack::{RedisServer, until};

#[tokio::test]
async fn r4_an_unpaid_slot_comes_back_by_itself_within_a_second_and_r12_its_holder_was_warned()
-> Result<()> {
    let mut server = RedisServer::builder().append_only(true).start().await?;
    let mut sale = Sale::open(&server, 1, "TTL 600 EXPIRINGSOON 300").await?;
    sale.acquire("ana").await?;
    sale.write("SLOT.ACQUIRE", &["ben", "WAIT"]).await?;
    until("ben's slot to end too", SOON, async || {
        let lines = sale.clone().lines(0).await?;
        Ok((lines.len() == 8).then_some(()))
    })
    .await?;
    let mut told = Vec::new();
    for line in sale.lines(3).await? {
        let event = Event::from_line(&line)?;
        match event.change {
            Change::SlotExpiringSoon(e) => {
                assert!((e.deadline.0 - 300..e.deadline.0).contains(&event.at.0), "{line}");
                told.push(format!("soon {}", e.user));
            }
            Change::SlotExpired(e) => {
                assert!((e.deadline.0..e.deadline.0 + 1000).contains(&event.at.0), "{line}");
                told.push(format!("expired {}", e.user));
            }
            Change::SlotAcquired(e) => told.push(format!("promoted {}", e.user)),
            other => panic!("unexpected: {other:?}"),
        }
    }
    // What time did is in the AOF as well.
    assert_eq!(told, ["soon ana", "expired ana", "promoted ben", "soon ben", "expired ben"]);
    let before = sale.audit().await?;
    server.restart().await?;
    assert_eq!(Sale::at(&server, sale.product).await?.audit().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_blocks_on_the_stream_hears_of_what_time_did() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 1, "TTL 600 EXPIRINGSOON 0").await?;
    sale.acquire("ana").await?;
    let mut reader = server.connect().await?;
    let stream = sale.product.stream_key();
    let words = ["XREAD", "BLOCK", "8000", "STREAMS", &stream, "2-0"];
    let began = Instant::now();
    let found = command(&mut reader, &words).await?;
    assert_ne!(found, redis::Value::Nil);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn many_slots_due_at_once_come_back_in_bounded_steps() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 20_000, "TTL 1500 EXPIRINGSOON 0").await?;
    for batch in 0..80 {
        let users: Vec<String> = (0..250).map(|n| format!("buyer-{batch}-{n}")).collect();
        let mut words = vec!["250"];
        words.extend(users.iter().flat_map(|user| [user.as_str(), "0", "0", ""]));
        sale.write("SLOT.MACQUIRE", &words).await?;
    }
    assert_eq!(sale.audit().await?.arrivals, 20_000);
    let mut slowest = Duration::ZERO;
    until("all to come back", SOON, async || {
        let mut sale = sale.clone();
        let began = Instant::now();
        command(&mut sale.connection, &["PING"]).await?;
        slowest = slowest.max(began.elapsed());
        let audit = sale.audit().await?;
        Ok((audit.expired == 20_000).then_some(()))
    })
    .await?;
    println!("slowest PING during the storm: {slowest:?}");
    Ok(())
}

#[tokio::test]
async fn a_sweep_waits_while_writes_are_paused() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 1, "TTL 1500 EXPIRINGSOON 0").await?;
    sale.acquire("ana").await?;
    command(&mut sale.connection, &["CLIENT", "PAUSE", "6000", "WRITE"]).await?;
    // Well past the deadline, and well before the pause ends.
    tokio::time::sleep(Duration::from_millis(3000)).await;
    let audit = sale.audit().await?;
    assert_eq!((audit.active, audit.events.0), (1, 2));
    until_audit(&sale, "the sweep after the pause", |audit| audit.expired == 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_sale_without_its_stream_is_left_alone_and_holds_nobody_up() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut broken = Sale::open(&server, 1, "TTL 300 EXPIRINGSOON 0").await?;
    let mut sound = Sale::open(&server, 1, "TTL 300 EXPIRINGSOON 0").await?;
    broken.acquire("ana").await?;
    sound.acquire("ana").await?;
    let (key, stream) = (broken.product.sale_key(), broken.product.stream_key());
    let mut connection = broken.connection.clone();
    let dump: Vec<u8> = redis::cmd("DUMP").arg(&stream).query_async(&mut connection).await?;
    command(&mut connection, &["DEL", &stream]).await?;
    until_audit(&sound, "the sound sale's sweep", |audit| audit.expired == 1).await?;
    assert_eq!(broken.audit().await?.active, 1);
    let refused = broken.acquire("ben").await.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("TRYAGAIN") || refused.contains("event stream"), "{refused}");
    redis::cmd("RESTORE").arg(&stream).arg(0).arg(dump).exec_async(&mut connection).await?;
    until_audit(&broken, "the broken sale's sweep", |audit| audit.expired == 1).await?;
    assert!(matches!(broken.acquire("ben").await?, AcquireReply::Acquired(_)));

    // Entries by another hand, and a sale that has gone.
    command(&mut connection, &["XADD", &stream, "*", "e", "x"]).await?;
    let refused = broken.acquire("cyn").await.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("DIVERGED") || refused.contains("stream ends with"), "{refused}");
    command(&mut connection, &["DEL", &key]).await?;
    assert_eq!(broken.acquire("cyn").await?, AcquireReply::NoSale);
    Ok(())
}
