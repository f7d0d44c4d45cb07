//! kill −9 of the persister under load, again and again: nothing missing, nothing twice, in Postgres and in Kafka (T11).

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::{Persister, Servers, TestSale, apache_kafka, audit, committed, messages};
use redis::aio::MultiplexedConnection;
use redis::{Value, pipe};
use slot_core::event::Event;

/// Buyers ask, most pay, some are declined; until all rounds are over.
async fn load(mut redis: MultiplexedConnection, sales: Vec<TestSale>, rounds: u32) -> Result<()> {
    for round in 0..rounds {
        for sale in &sales {
            let slots = sale.acquire(&mut redis, round * 50..round * 50 + 50).await?;
            let most = slots.split_at(slots.len() * 4 / 5).0;
            let charges = sale.pay(&mut redis, most).await?;
            let mut outcomes = pipe();
            for (at, charge) in charges.iter().enumerate() {
                let (word, about) =
                    if at % 5 == 0 { ("SLOT.DECLINE", "no") } else { ("SLOT.CONSUME", "gw-1") };
                let mut outcome = sale.command(word);
                outcome.arg(charge).arg(about);
                outcomes.add_command(outcome);
            }
            if !charges.is_empty() {
                let _: Vec<Value> = outcomes.query_async(&mut redis).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn t11_killed_under_load_each_sink_has_each_event_exactly_once() -> Result<()> {
    let servers = Servers::start().await?;
    let kafka = apache_kafka().await?;
    let mut redis = servers.redis.connect().await?;
    let mut sales = Vec::new();
    for stock in [10_000, 10_000, 300] {
        sales.push(TestSale::create(&mut redis, stock, &["TTL", "2000"]).await?);
    }
    let flags = ["--keep-streams", "--batch", "100"];
    let mut persister = Persister::start(&servers, Some(kafka.bootstrap()), &flags)?;
    let loading = tokio::spawn(load(redis.clone(), sales.clone(), 160));
    let mut kills = 0;
    while !loading.is_finished() {
        tokio::time::sleep(Duration::from_millis(1_500 + 377 * kills)).await;
        persister.kill9().await?;
        kills += 1;
        persister = Persister::start(&servers, Some(kafka.bootstrap()), &flags)?;
    }
    loading.await??;
    ensure!(kills >= 2, "killed {kills} times only: the load was over too soon");
    // Past the last deadline, so that nothing changes while we compare.
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    for sale in &sales {
        let last = sale.booked(&mut redis, &servers.books).await?;
        let history = sale.history(&mut redis).await?;
        assert_eq!(history.len() as i64, last, "the stream was trimmed");
        assert_eq!(sale.log(&servers.books).await?, history, "Postgres");
        compare_kafka(kafka.bootstrap(), *sale, last, &history).await?;
    }
    let (code, report) = audit(&servers, &[]).await?;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(persister.stop().await?, Some(0), "{}", persister.log_text());
    Ok(())
}

async fn compare_kafka(
    bootstrap: &str,
    sale: TestSale,
    last: i64,
    history: &BTreeMap<u64, (String, String)>,
) -> Result<()> {
    let audit = messages(bootstrap, "product.slot-audit", sale, last).await?;
    // In the order of the partition, so a message that is missing, doubled or out of order shows.
    let numbers: Vec<_> = audit.iter().filter_map(|seen| seen.number).collect();
    assert_eq!(numbers, history.keys().copied().collect::<Vec<_>>(), "Kafka's audit topic");
    let types: BTreeMap<u64, Event> = history
        .iter()
        .map(|(n, (line, _))| Ok((*n, Event::from_line(line)?)))
        .collect::<Result<_>>()?;
    for seen in &audit {
        let (line, hash) =
            seen.number.and_then(|n| history.get(&n)).context("an event of nowhere")?;
        assert_eq!(seen.headers.get("chain-hash"), Some(hash));
        let text = String::from_utf8_lossy(&seen.payload);
        assert!(text.contains(line.as_str()), "{text} does not hold {line}");
    }
    for (topic, word) in [
        ("product.slot-acquired", "SLOT_ACQUIRED"),
        ("product.slot-expired", "SLOT_EXPIRED"),
        ("product.payment-completed", "PAYMENT_COMPLETED"),
    ] {
        let expected: Vec<u64> = types
            .iter()
            .filter(|(_, event)| event.change.type_word() == word)
            .map(|(number, _)| *number)
            .collect();
        assert!(!expected.is_empty(), "the load made no {word}");
        let owned = bootstrap.to_owned();
        let all = tokio::task::spawn_blocking(move || committed(&owned, topic)).await??;
        let got: Vec<u64> = all
            .iter()
            .filter(|seen| seen.key == sale.0.to_string())
            .filter_map(|seen| seen.number)
            .collect();
        assert_eq!(got, expected, "{topic}");
    }
    Ok(())
}
