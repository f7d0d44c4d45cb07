//! An event that fits the chain but can't be decoded goes aside, with its reason, in the transaction that moves the
//! mark; the events around it arrive. The module never writes such a line, so the batch is made by hand and given to the
//! real sinks.

mod common;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::{apache_kafka, committed};
use slot_core::chain::ChainHash;
use slot_core::event::Event;
use slot_core::ids::ProductId;
use slot_core::units::UnixMillis;
use slot_loadtest::stack::Postgres;
use slot_persister::history::{Entry, continue_from};
use slot_persister::kafka::sink::{Cluster, KafkaSink};
use slot_persister::marks::Mark;
use slot_persister::postgres::sink::{PostgresSink, pool};
use slot_persister::share::Share;
use slot_persister::sink::{Batch, SaleBatch, Sink};
use tokio::sync::Notify;

const ALL: Share = Share { writer: 0, writers: 1 };
const UNREADABLE: &str = "1 2 SLOT_TELEPORTED 6 - 1 ana";

fn batch(product: ProductId) -> Result<Batch> {
    let created =
        "1 1 PRODUCT_CREATED 5 - name - 9 1 1800000 0 1 300000 300000 - - - BLAKE3-128".to_owned();
    Event::from_line(&created)?;
    let acquired = "1 3 SLOT_ACQUIRED 7 - 2 ben 1800007 - DIRECT 1".to_owned();
    let mut hash = ChainHash::origin(&product);
    let entries =
        [created, UNREADABLE.to_owned(), acquired].into_iter().zip(1..).map(|(line, n)| {
            hash = hash.next(line.as_bytes());
            Entry { number: n, line: line.into(), hash: hash.to_string().into() }
        });
    let before = Mark::origin(&product);
    let events = continue_from(&product, before, entries.collect())?;
    let after = events.last().context("no events")?.mark;
    Ok(Batch { sales: vec![SaleBatch { product, before, after, events }] })
}

#[tokio::test]
async fn an_unreadable_event_goes_aside_in_postgres_with_the_mark() -> Result<()> {
    let postgres = Postgres::builder().fsync(false).start().await?;
    let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
    let mut sink = PostgresSink::new(pool(&postgres.url(), 2)?, ALL, Arc::new(Notify::new()));
    ensure!(sink.open().await?.is_empty());
    let all = batch(product)?;
    let after = all.sales[0].after;
    sink.commit(all).await?;
    assert_eq!(sink.open().await?[&product], after);
    let books = postgres.connect().await?;
    let aside: Vec<(i64, Vec<u8>, String)> =
        sqlx::query_as("SELECT event_number, line, reason FROM quarantined_events")
            .fetch_all(&books)
            .await?;
    let reason = "the line's event type is unknown".to_owned();
    assert_eq!(aside, [(2, UNREADABLE.into(), reason)]);
    let log: Vec<i64> = sqlx::query_scalar("SELECT event_number FROM slot_audit_log ORDER BY 1")
        .fetch_all(&books)
        .await?;
    assert_eq!(log, [1, 3]);
    // The same batch again is refused whole: its mark has moved.
    ensure!(sink.commit(batch(product)?).await.is_err());
    let aside: i64 =
        sqlx::query_scalar("SELECT count(*) FROM quarantined_events").fetch_one(&books).await?;
    assert_eq!(aside, 1);
    Ok(())
}

#[tokio::test]
async fn an_unreadable_event_goes_aside_in_kafka_with_the_mark() -> Result<()> {
    let kafka = apache_kafka().await?;
    let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
    let bootstrap = kafka.bootstrap().to_owned();
    let cluster = Cluster { bootstrap: bootstrap.clone(), partitions: 2, replication: 1 };
    let mut sink = KafkaSink::new(cluster, ALL)?;
    ensure!(sink.open().await?.is_empty());
    let all = batch(product)?;
    let after = all.sales[0].after;
    sink.commit(all).await?;
    assert_eq!(sink.open().await?[&product], after);
    let (aside, audit) = tokio::task::spawn_blocking(move || -> Result<_> {
        Ok((
            committed(&bootstrap, "product.slot-quarantine")?,
            committed(&bootstrap, "product.slot-audit")?,
        ))
    })
    .await??;
    assert_eq!(aside.len(), 1);
    assert_eq!((aside[0].number, aside[0].payload.as_slice()), (Some(2), UNREADABLE.as_bytes()));
    assert_eq!(aside[0].headers["reason"], "the line's event type is unknown");
    assert_eq!(audit.iter().filter_map(|seen| seen.number).collect::<Vec<_>>(), [1, 3]);
    Ok(())
}
