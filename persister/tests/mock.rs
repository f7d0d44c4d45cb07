//! Where no Apache Kafka can be had, the demo runs on librdkafka's mock broker; the persister must work there too, though
//! nothing about exactly-once follows from it.

mod common;

use anyhow::Result;
use common::{Persister, Servers, TestSale, messages};
use slot_loadtest::stack::{Kafka, KafkaChoice};

#[tokio::test]
async fn events_arrive_on_the_mock_broker_and_after_a_restart_go_on() -> Result<()> {
    let servers = Servers::start().await?;
    let kafka = Kafka::builder().choice(KafkaChoice::Mock).start().await?;
    let mut redis = servers.redis.connect().await?;
    let sale = TestSale::create(&mut redis, 1_000, &[]).await?;
    for round in 0..2 {
        let mut persister = Persister::start(&servers, Some(kafka.bootstrap()), &[])?;
        sale.acquire(&mut redis, round * 100..round * 100 + 100).await?;
        let last = i64::from(round) * 100 + 101;
        assert_eq!(sale.booked(&mut redis, &servers.books).await?, last);
        let audit = messages(kafka.bootstrap(), "product.slot-audit", sale, last).await?;
        let numbers: Vec<_> = audit.iter().filter_map(|seen| seen.number).collect();
        assert_eq!(numbers, (1..=last as u64).collect::<Vec<_>>());
        assert_eq!(persister.stop().await?, Some(0), "{}", persister.log_text());
    }
    Ok(())
}
