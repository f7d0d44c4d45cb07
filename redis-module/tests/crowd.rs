//! Many clients at once on few units (R1, R2, R3).

mod shop;

use std::collections::BTreeSet;

use anyhow::Result;
use shop::Sale;
use slot_core::wire::AcquireReply;
use slot_loadtest::stack::RedisServer;

#[tokio::test]
async fn r1_two_hundred_clients_on_fifty_units_get_exactly_fifty() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let sale = Sale::open(&server, 50, "").await?;
    let product = sale.product;
    let mut clients = Vec::new();
    for n in 0..200 {
        let mut sale = Sale::at(&server, product).await?;
        clients.push(tokio::spawn(async move {
            let user = format!("buyer-{n}");
            let first = sale.acquire(&user).await?;
            let again = sale.acquire(&user).await?;
            anyhow::Ok((user, first, again))
        }));
    }
    let (mut holders, mut slots, mut refused) = (BTreeSet::new(), BTreeSet::new(), 0);
    for client in clients {
        match client.await?? {
            (user, AcquireReply::Acquired(held), AcquireReply::Held(again)) => {
                assert_eq!(held.slot, again.slot, "R3: {user} has one slot");
                holders.insert(user);
                slots.insert(held.slot.arrival.0);
            }
            (_, AcquireReply::SoldOut, AcquireReply::SoldOut) => refused += 1,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!((holders.len(), refused), (50, 150));
    assert_eq!(slots, (1..=50).collect(), "R2: arrival numbers without a gap");
    let audit = sale.clone().audit().await?;
    assert_eq!((audit.active, audit.stock, audit.events.0), (50, 0, 51));
    Ok(())
}

#[tokio::test]
async fn r2_a_batch_is_decided_in_order_and_a_bad_item_fails_alone() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 2, "").await?;
    let bad = "x".repeat(65);
    let batch = [
        ["ana", "0", "0", ""],
        [bad.as_str(), "0", "0", ""],
        ["ben", "2", "0", ""],
        ["ben", "0", "soon", ""],
        ["ben", "0", "0", "no trace"],
        ["ana", "0", "0", ""],
        ["cyn", "0", "1763827200123", "t1"],
        ["ben", "0", "0", ""],
        ["ben", "1", "0", ""],
    ];
    let words: Vec<&str> = ["9"].into_iter().chain(batch.iter().flatten().copied()).collect();
    let slot_core::wire::Value::List(replies) = sale.write("SLOT.MACQUIRE", &words).await? else {
        panic!("a list");
    };
    let words: Vec<String> = replies
        .into_iter()
        .map(|reply| match reply {
            slot_core::wire::Value::Error(_) => "error".to_owned(),
            other => slot_core::wire::Wire::from_value(other)
                .map_or("misshapen".to_owned(), |reply: AcquireReply| reply.word().to_owned()),
        })
        .collect();
    assert_eq!(
        words,
        ["ACQUIRED", "error", "error", "error", "error", "HELD", "ACQUIRED", "SOLD_OUT", "WAITING"]
    );
    assert_eq!(sale.audit().await?.arrivals, 3);
    Ok(())
}
