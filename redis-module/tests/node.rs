//! What a node tells of all its sales, and how the persister keeps its streams short.

mod shop;

use std::collections::BTreeSet;

use anyhow::Result;
use shop::{Sale, command, info};
use slot_core::wire::{ChangedReply, Done, UserView, Value, Wire};
use slot_loadtest::stack::RedisServer;

async fn changed(sale: &mut Sale, cursor: &str, count: &str) -> Result<ChangedReply> {
    let reply = command(&mut sale.connection, &["SLOT.CHANGED", cursor, "COUNT", count]).await?;
    Ok(ChangedReply::from_value(reply.into())?)
}

#[tokio::test]
async fn changed_lists_each_sale_once_in_pages_and_then_only_what_is_new() -> Result<()> {
    let mut server = RedisServer::builder().append_only(true).start().await?;
    let mut sales = Vec::new();
    for _ in 0..5 {
        sales.push(Sale::open(&server, 1, "").await?);
    }
    let mut first = sales.remove(0);
    first.acquire("ana").await?;
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    loop {
        let page = changed(&mut first, &cursor, "2").await?;
        cursor = page.cursor;
        if page.sales.is_empty() {
            break;
        }
        seen.extend(page.sales.iter().map(|sale| sale.product));
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen.last(), Some(&first.product), "the longest unchanged first");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5);

    first.acquire("ana").await?;
    assert!(changed(&mut first, &cursor, "9").await?.sales.is_empty(), "a refusal is no change");
    let mut last = sales.remove(3);
    last.acquire("ben").await?;
    let page = changed(&mut first, &cursor, "9").await?;
    let audit = last.audit().await?;
    let [sale] = page.sales.as_slice() else { panic!("{page:?}") };
    assert_eq!((sale.product, sale.events, sale.head), (last.product, audit.events, audit.head));

    let key = last.product.sale_key();
    command(&mut first.connection, &["DEL", &key]).await?;
    assert_eq!(changed(&mut first, "0", "9").await?.sales.len(), 4, "what has gone is not listed");
    server.restart().await?;
    let mut again = Sale::at(&server, first.product).await?;
    let all = changed(&mut again, &page.cursor, "9").await?;
    assert_eq!(all.sales.len(), 4, "another run lists all");
    Ok(())
}

#[tokio::test]
async fn mine_lists_a_users_slots_in_all_sales() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut one = Sale::open(&server, 1, "").await?;
    let mut two = Sale::open(&server, 1, "").await?;
    let _three = Sale::open(&server, 1, "").await?;
    one.acquire("ana").await?;
    two.acquire("ben").await?;
    two.write("SLOT.ACQUIRE", &["ana", "WAIT"]).await?;
    let mine = command(&mut one.connection, &["SLOT.MINE", "ana"]).await?;
    let mine = Vec::<UserView>::from_value(mine.into())?;
    let told: Vec<_> =
        mine.iter().map(|view| (view.slots[0].product, view.position, view.ahead)).collect();
    assert_eq!(told, [(one.product, None, None), (two.product, Some(1), Some(0))]);
    Ok(())
}

#[tokio::test]
async fn a_stream_is_trimmed_below_an_event_whose_hash_is_right() -> Result<()> {
    let primary = RedisServer::builder().start().await?;
    let replica = RedisServer::builder().replica_of(&primary).start().await?;
    let mut sale = Sale::open(&primary, 300, "").await?;
    for n in 0..250 {
        sale.acquire(&format!("buyer-{n}")).await?;
    }
    let before = sale.audit().await?;
    let hash: Vec<(String, Vec<String>)> = redis::cmd("XRANGE")
        .arg(sale.product.stream_key())
        .arg(&["200-0", "200-0"])
        .query_async(&mut sale.connection)
        .await?;
    let hash = &hash[0].1[3];
    assert_eq!(sale.write("SLOT.TRIM", &["200", hash]).await?, Value::Int(199));
    assert_eq!(sale.write("SLOT.TRIM", &["200", hash]).await?, Value::Int(0));
    assert_eq!(sale.lines(0).await?.len(), 52);
    sale.acquire("one-more").await?;
    let after = sale.audit().await?;
    assert_eq!(after.events.0, before.events.0 + 1);
    let head = after.head.to_string();
    assert_eq!(sale.write("SLOT.TRIM", &["252", &head]).await?, Value::Int(52));
    sale.acquire("and-another").await?;
    command(&mut sale.connection, &["WAIT", "1", "10000"]).await?;
    let mut copy = Sale::at(&replica, sale.product).await?;
    assert_eq!(copy.audit().await?, sale.audit().await?);
    assert_eq!(copy.stream().await?, sale.stream().await?);
    assert_eq!(copy.lines(0).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_dropped_sale_is_hidden_and_can_be_forgotten() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 1, "").await?;
    sale.write("SLOT.DROP", &["BY", "root"]).await?;
    assert_eq!(sale.read("SLOT.SALE", &[]).await?, Value::Null);
    assert_eq!(
        changed(&mut sale, "0", "9").await?.sales.len(),
        1,
        "the persister has to hear of it"
    );
    // Created, closed, deleted.
    let head = sale.audit().await?.head.to_string();
    assert!(sale.write("SLOT.FORGET", &["2", &head]).await.is_err());
    let done = sale.write("SLOT.FORGET", &["3", &head]).await?;
    assert_eq!(Done::from_value(done)?, Done::Ok);
    assert_eq!(command(&mut sale.connection, &["DBSIZE"]).await?, redis::Value::Int(0));
    assert!(changed(&mut sale, "0", "9").await?.sales.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_full_server_refuses_what_adds_and_goes_on_finishing() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 4, "").await?;
    sale.live().await?;
    sale.write("SLOT.RESUME", &[]).await?;
    let used: u64 = info(&mut sale.connection, "used_memory").await?.parse()?;
    let roomy = (used + used / 40).to_string();
    command(&mut sale.connection, &["CONFIG", "SET", "maxmemory", &roomy]).await?;
    assert_eq!(sale.acquire("hal").await?.word(), "SOLD_OUT");
    let slot = sale.slot(2);
    sale.write("SLOT.RELEASE", &[&slot, "ben"]).await?;
    let word = sale.acquire("hal").await?.word();
    assert!(matches!(word, "BACKLOG" | "SOLD_OUT"), "{word}");

    command(&mut sale.connection, &["CONFIG", "SET", "maxmemory", "1mb"]).await?;
    let refused = sale.acquire("hal").await.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("maxmemory"), "{refused}");
    let before = sale.audit().await?.events;
    sale.write("SLOT.FENCE", &[]).await?;
    sale.write("SLOT.PAUSE", &[]).await?;
    assert!(sale.audit().await?.events > before);
    Ok(())
}

#[tokio::test]
async fn the_server_knows_the_commands_and_refuses_to_delete_sales() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 1, "").await?;
    sale.acquire("ana").await?;
    sale.acquire("ben").await?;
    let mut connection = sale.connection.clone();
    assert_eq!(info(&mut connection, "slot_acquired").await?, "1");
    assert_eq!(info(&mut connection, "slot_refused_sold_out").await?, "1");
    let (key, stream) = (sale.product.sale_key(), sale.product.stream_key());
    let words = ["COMMAND", "GETKEYS", "SLOT.ACQUIRE", &key, &stream, "ana"];
    let keys = slot_core::wire::Value::from(command(&mut connection, &words).await?);
    assert_eq!(Vec::<String>::from_value(keys)?, [key.clone(), stream]);
    let usage = command(&mut connection, &["MEMORY", "USAGE", &key]).await?;
    assert!(matches!(usage, redis::Value::Int(bytes) if bytes > 200), "{usage:?}");

    let refused = RedisServer::builder().option("maxmemory-policy", &["allkeys-lru"]);
    assert!(refused.start().await.is_err());
    Ok(())
}

/// A server that speaks RESP3 answers a map.
#[tokio::test]
async fn maps_are_maps_in_resp3() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let sale = Sale::open(&server, 1, "").await?;
    let url = format!("{}?protocol=resp3", server.url());
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let reply = command(&mut connection, &["SLOT.SALE", &sale.product.sale_key()]).await?;
    assert!(matches!(reply, redis::Value::Map(_)), "{reply:?}");
    Ok(())
}
