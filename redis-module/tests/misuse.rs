//! Bad input to every command: an error that says what to do, and a sale that is as it was.

mod shop;

use anyhow::Result;
use shop::{Sale, command, new_product, server_with_clock};
use slot_core::wire::{AcquireReply, Done, PayRefusal, PayReply, Value, Wire};
use slot_loadtest::stack::RedisServer;

/// Words after both keys, and a part of the error.
const WRITES: &[(&str, &[&str], &str)] = &[
    (
        "CREATE",
        &["STOCK", "0", "SALEDATE", "0", "NAME", "n", "DESCRIPTION", "d"],
        "stock must be between 1 and 100000000, got 0",
    ),
    ("CREATE", &["STOCK", "-1", "SALEDATE", "0", "NAME", "n", "DESCRIPTION", "d"], "got -1"),
    (
        "CREATE",
        &["STOCK", "1", "SALEDATE", "soon", "NAME", "n", "DESCRIPTION", "d"],
        "sale date must be between",
    ),
    (
        "CREATE",
        &["STOCK", "1", "SALEDATE", "0", "NAME", "", "DESCRIPTION", "d"],
        "name must be 1 to",
    ),
    ("CREATE", &["STOCK", "1", "SALEDATE", "0", "NAME", "n", "NAME", "m"], "needs DESCRIPTION"),
    (
        "CREATE",
        &["STOCK", "1", "SALEDATE", "0", "NAME", "n", "DESCRIPTION", "d", "PRICE", "5", "won"],
        "three-letter",
    ),
    (
        "CREATE",
        &["STOCK", "1", "SALEDATE", "0", "NAME", "n", "DESCRIPTION", "d", "COLOUR", "red"],
        "unexpected COLOUR",
    ),
    ("ALTER", &["STOCK", "5"], "must begin with + or -"),
    ("ALTER", &["STOCK", "+x"], "change of stock"),
    ("ALTER", &["NAME", ""], "name must be"),
    ("ALTER", &["IF", "first"], "IF must be"),
    ("ALTER", &["SALEDATE"], "sale date is missing"),
    ("PAUSE", &["REASON"], "the reason is missing"),
    ("PAUSE", &["BECAUSE", "x"], "unexpected BECAUSE"),
    ("RESUME", &["BY", "two words"], "user id must be"),
    ("CLOSE", &["TRACE", "a b"], "trace id must be"),
    ("DROP", &["NOW"], "unexpected NOW"),
    ("ACQUIRE", &[""], "user id must be"),
    ("ACQUIRE", &["ana\r\nDEL x"], "user id must be"),
    ("ACQUIRE", &["ana\0"], "user id must be"),
    ("ACQUIRE", &["Zoë"], "user id must be"),
    ("ACQUIRE", &["ana", "NTH", "0"], "NTH must be between 1 and 1000, got 0"),
    ("ACQUIRE", &["ana", "NTH"], "NTH is missing"),
    ("ACQUIRE", &["ana", "ARRIVED", "18446744073709551616"], "ARRIVED must be"),
    ("ACQUIRE", &["ana", "TRACE", ""], "trace id must be"),
    ("ACQUIRE", &["ana", "WAIT", "1"], "unexpected 1"),
    ("MACQUIRE", &["0", "ana", "0", "0", ""], "n must be between 1 and 256, got 0"),
    ("MACQUIRE", &["257", "ana", "0", "0", ""], "n must be between 1 and 256, got 257"),
    ("MACQUIRE", &["2", "ana", "0", "0", ""], "so 8 words must follow"),
    ("PAY", &["SLOT1", "ana", "k", "0", "KRW", "CARD"], "amount"),
    ("PAY", &["SLOT1", "ana", "", "1", "KRW", "CARD"], "idempotency key"),
    ("PAY", &["SLOT1", "ana", "k", "1", "KRW", "CASH"], "CARD, BANK_TRANSFER or WALLET"),
    ("PAY", &["PRODUCT", "ana", "k", "1", "KRW", "CARD"], "not a slot"),
    ("PAY", &["OTHER", "ana", "k", "1", "KRW", "CARD"], "this id is of product"),
    ("PAY", &["SLOT1", "ana", "k", "1", "KRW", "CARD", "FAST"], "unexpected FAST"),
    ("CONSUME", &["SLOT1", "gw"], "charge id must be"),
    ("CONSUME", &["CHARGE", ""], "gateway's reference must be"),
    ("DECLINE", &["nonsense", "no"], "charge id must be"),
    ("DECLINE", &["CHARGE"], "wrong number of arguments"),
    ("EXPIRE", &["LIMIT", "0"], "LIMIT must be"),
    ("RELEASE", &["SLOT1"], "wrong number of arguments"),
    ("RELEASE", &["PRODUCT", "ana"], "not a slot"),
    ("LEAVE", &["ana", "ben"], "unexpected ben"),
    ("RECLAIM", &["x"], "must be a UUID"),
    ("FENCE", &["x"], "unexpected x"),
    ("TRIM", &["0", "HASH"], "event's number must be"),
    ("TRIM", &["1", "x"], "chain hash must be"),
    ("TRIM", &["1", "HASH"], "history forked"),
    ("TRIM", &["99", "HASH"], "not in this stream"),
    ("FORGET", &["1", "HASH"], "only a dropped sale"),
    ("APPLY", &["1", "HASH", "1 1 SALE_CLOSED 0 - - 0"], "exists already"),
    ("APPLY", &["2", "HASH", "1 2 SALE_CLOSED 0 - - 0"], "the events begin at 2"),
    ("APPLY", &["2", "HASH", ""], "the line must be"),
    ("LOAD", &["1", "blob"], "corrupt"),
    ("LOAD", &["2", "blob"], "encoding version is unknown"),
];

fn filled(sale: &Sale, word: &str) -> String {
    match word {
        "SLOT1" => sale.slot(1),
        "PRODUCT" => sale.product.to_string(),
        "OTHER" => new_product().slot(slot_core::units::ArrivalNumber(1)).to_string(),
        "CHARGE" => format!("{}.00000000000000ff", sale.slot(1).replace("0100", "0101")),
        "HASH" => "0".repeat(32),
        other => other.to_owned(),
    }
}

#[tokio::test]
async fn bad_input_to_a_write_is_an_error_and_changes_nothing() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 3, "").await?;
    sale.acquire("zoe").await?;
    let before = (sale.audit().await?, sale.stream().await?);
    let offset = shop::info(&mut sale.connection, "master_repl_offset").await?;
    for (name, words, part) in WRITES {
        // CREATE would answer EXISTS to the sale's own keys, whatever follows; a new product shows the same bounds.
        let mut target = sale.clone();
        if *name == "CREATE" {
            target.product = new_product();
        }
        let words: Vec<String> = words.iter().map(|word| filled(&sale, word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match target.write(&format!("SLOT.{name}"), &words).await {
            Ok(reply) => panic!("{name} {words:?} answered {reply:?}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(part), "{name} {words:?}: {error}");
            }
        }
        assert_eq!((sale.audit().await?, sale.stream().await?), before, "{name} {words:?}");
    }
    assert_eq!(shop::info(&mut sale.connection, "master_repl_offset").await?, offset);
    Ok(())
}

#[tokio::test]
async fn keys_must_be_a_sales_own() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::open(&server, 3, "").await?;
    let (key, stream) = (sale.product.sale_key(), sale.product.stream_key());
    let other = new_product();
    let before = sale.audit().await?;
    let mut connection = sale.connection.clone();
    command(&mut connection, &["SET", "plain", "x"]).await?;
    for (words, part) in [
        (vec!["SLOT.ACQUIRE", "plain", &stream, "ana"], "must be slot:{<product id>}"),
        (vec!["SLOT.ACQUIRE", &key, &key, "ana"], "followed by :events"),
        (vec!["SLOT.ACQUIRE", &key, &other.stream_key(), "ana"], "followed by :events"),
        (vec!["SLOT.ACQUIRE", &key.to_uppercase(), &stream, "ana"], "slot:{<product id>}"),
        (vec!["SLOT.SALE", "plain"], "must be slot:{<product id>}"),
        (vec!["SLOT.SALE", &key, "x"], "wrong number of arguments"),
        (vec!["SLOT.GET", &key, &key], "must be a UUID"),
        (vec!["SLOT.GET", &key, &sale.product.to_string()], "ask SLOT.SALE"),
        (vec!["SLOT.USER", &key, "two words"], "user id must be"),
        (vec!["SLOT.MINE", ""], "user id must be"),
        (vec!["SLOT.CHANGED", "yesterday"], "cursor must be"),
        (vec!["SLOT.CHANGED", "0", "COUNT", "0"], "COUNT must be"),
        (vec!["SLOT.CHANGED", "abc.def"], "cursor must be"),
    ] {
        let error = command(&mut connection, &words).await.err().map(|e| e.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains(part)), "{words:?}: {error:?}");
    }
    // Something else at a sale's keys.
    let mut taken = Sale::at(&server, other).await?;
    command(&mut connection, &["SET", &other.sale_key(), "x"]).await?;
    let error = taken.acquire("ana").await.err().map(|e| format!("{e:#}")).unwrap_or_default();
    assert!(error.contains("not a sale"), "{error}");
    command(&mut connection, &["DEL", &other.sale_key()]).await?;
    command(&mut connection, &["SET", &other.stream_key(), "x"]).await?;
    let words = ["STOCK", "1", "SALEDATE", "0", "NAME", "n", "DESCRIPTION", "d"];
    assert!(taken.write("SLOT.CREATE", &words).await.is_err());
    // A sale under another name.
    let moved = new_product().sale_key();
    command(&mut connection, &["RENAME", &key, &moved]).await?;
    assert!(command(&mut connection, &["SLOT.SALE", &moved]).await.is_err());
    command(&mut connection, &["RENAME", &moved, &key]).await?;
    assert_eq!(sale.audit().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_sale_that_is_not_there_is_a_word_and_no_error() -> Result<()> {
    let server = RedisServer::builder().start().await?;
    let mut sale = Sale::at(&server, new_product()).await?;
    assert_eq!(sale.acquire("ana").await?, AcquireReply::NoSale);
    let batch = sale.write("SLOT.MACQUIRE", &["1", "ana", "0", "0", ""]).await?;
    assert_eq!(Vec::<AcquireReply>::from_value(batch)?, [AcquireReply::NoSale]);
    assert_eq!(sale.pay(1, "ana", "k").await?, PayReply::Refused(PayRefusal::NoSale));
    for (name, words) in [("PAUSE", vec![]), ("DROP", vec![]), ("LEAVE", vec!["ana"])] {
        let done = sale.write(&format!("SLOT.{name}"), &words).await?;
        assert_eq!(Done::from_value(done)?, Done::NoSale);
    }
    assert_eq!(sale.write("SLOT.EXPIRE", &[]).await?, Value::Int(0));
    let slot = sale.slot(1);
    for (name, words) in
        [("SALE", vec![]), ("AUDIT", vec![]), ("USER", vec!["ana"]), ("GET", vec![slot.as_str()])]
    {
        assert_eq!(sale.read(&format!("SLOT.{name}"), &words).await?, Value::Null);
    }
    let keys = command(&mut sale.connection, &["DBSIZE"]).await?;
    assert_eq!(keys, redis::Value::Int(0), "asking made no key");
    Ok(())
}

#[tokio::test]
async fn a_panic_in_a_command_is_an_error_and_the_server_goes_on() -> Result<()> {
    let (server, clock) = server_with_clock(1_763_827_200_000).await?;
    let mut sale = Sale::open(&server, 1, "").await?;
    let before = sale.audit().await?;
    std::fs::write(&clock, "half past ten")?;
    for _ in 0..3 {
        let error = sale.acquire("ana").await.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("internal error"), "{error}");
        assert!(sale.read("SLOT.SALE", &[]).await.is_err());
    }
    std::fs::write(&clock, "1763827200001")?;
    assert_eq!(sale.audit().await?, before);
    assert_eq!(sale.acquire("ana").await?.word(), "ACQUIRED");
    let log = std::fs::read_to_string(server.log_file())?;
    assert!(log.contains("half past ten") && log.contains("clock.rs"), "{log}");
    std::fs::remove_file(&clock)?;
    Ok(())
}
