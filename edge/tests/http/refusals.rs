//! Bad input to every route: a problem that says what is wrong, and nothing changes.

use std::time::Duration;

use crate::shop::Shop;
use reqwest::Method;
use serde_json::{Value, json};
use slot_loadtest::stack::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NOBODY: &str = "019aac42-887b-8000-8000-070000000000";

/// Sends `bad` on top of a body that is good without it, and expects a problem whose detail says `names`.
async fn refused(
    shop: &Shop,
    (method, path, token): (&Method, &str, &str),
    good: &Value,
    rows: &[(Value, &str)],
) {
    for (bad, names) in rows {
        let mut body = good.clone();
        let into = body.as_object_mut().expect("an object");
        into.extend(bad.as_object().expect("an object").clone());
        let request = shop.request(method.clone(), path, Some(token)).json(&body);
        let heard = Shop::hear(request).await;
        heard.is(400, "validation");
        let detail = heard.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(names), "{path} {body}: {detail}");
    }
}

#[tokio::test]
async fn an_admin_s_bad_bodies_are_refused_field_by_field() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 5})).await;
    let before = shop.state(&product).await;
    let admin = shop.admin();
    let good =
        json!({"name": "n", "description": "d", "stock": 1, "saleDate": "2020-01-01T00:00:00Z"});
    let rows = [
        (json!({"name": ""}), "name"),
        (json!({"name": null}), "string"),
        (json!({"description": "x".repeat(2_001)}), "description"),
        (json!({"stock": 0}), "stock"),
        (json!({"stock": 1.5}), "1.5"),
        (json!({"saleDate": "now"}), "saleDate"),
        (json!({"price": -1}), "price"),
        (json!({"ttlSeconds": 0}), "ttlSeconds"),
        (json!({"ttl": 1_000, "ttlSeconds": 1}), "not both"),
        (json!({"colour": "red"}), "colour"),
        (json!({"colour": "red"}), "`name`, `description`, `stock`"),
    ];
    refused(&shop, (&Method::POST, "/products", &admin), &good, &rows).await;
    let rows = [
        (json!({}), "at least one"),
        (json!({"stock": 9}), "stock"),
        (json!({"stockIncrement": 100_000_001}), "stockIncrement"),
        (json!({"name": " "}), "name"),
        (json!({"saleDate": "2020"}), "saleDate"),
    ];
    let path = format!("/products/{product}");
    refused(&shop, (&Method::PUT, &path, &admin), &json!({}), &rows).await;
    let keyed = shop.request(Method::POST, "/products", Some(&admin)).json(&good);
    Shop::hear(keyed.header("Idempotency-Key", "")).await.is(400, "validation");
    assert_eq!(shop.state(&product).await, before);
}

#[tokio::test]
async fn a_buyer_s_bad_bodies_are_refused_field_by_field() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 5})).await;
    let slot = shop.acquire(&product, "ana").await.id().to_owned();
    let before = shop.state(&product).await;
    let ana = shop.buyer("ana");
    let route = (&Method::POST, "/slots/acquire", ana.as_str());
    let rows = [(json!({}), "productId")];
    refused(&shop, route, &json!({}), &rows).await;
    let rows = [
        (json!({"productId": "x"}), "productId"),
        (json!({"productId": product.replace('-', "_")}), "productId"),
        (json!({"nth": 0}), "nth"),
        (json!({"nth": 1_001}), "nth"),
        (json!({"waitlist": "yes"}), "boolean"),
    ];
    refused(&shop, route, &json!({"productId": product}), &rows).await;
    let rows = [
        (json!({"purchaseSlotId": "x"}), "purchaseSlotId"),
        (json!({"idempotencyKey": ""}), "idempotencyKey"),
        (json!({"idempotencyKey": "x".repeat(256)}), "idempotencyKey"),
        (json!({"amount": 0}), "amount"),
        (json!({"amount": "1"}), "amount"),
        (json!({"amount": 0.5}), "amount"),
        (json!({"amount": 1e300}), "amount"),
        (json!({"currency": "ZZZ"}), "currency"),
        (json!({"paymentMethod": "CASH"}), "paymentMethod"),
    ];
    let good = json!({"purchaseSlotId": slot, "idempotencyKey": "k", "amount": 1, "paymentMethod": "CARD"});
    refused(&shop, (&Method::POST, "/payments", &ana), &good, &rows).await;
    assert_eq!(shop.state(&product).await, before);
}

#[tokio::test]
async fn a_uuid_that_names_nothing_of_ours_is_not_found() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 5})).await;
    let slot = shop.acquire(&product, "ana").await.id().to_owned();
    let before = shop.state(&product).await;
    let ana = shop.buyer("ana");
    let random = "550e8400-e29b-41d4-a716-446655440000";
    for id in [random, "00000000-0000-0000-0000-000000000000", NOBODY, &slot] {
        shop.post("/slots/acquire", &ana, &json!({"productId": id})).await.is(404, "not-found");
    }
    for id in [random, NOBODY, &product] {
        shop.pay(id, "ana", "k", 1).await.is(404, "not-found");
    }
    assert_eq!(shop.state(&product).await, before);
}

#[tokio::test]
async fn what_a_buyer_leaves_open_or_adds_is_no_mistake() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    let ana = shop.buyer("ana");
    let ask = json!({"productId": product, "waitlist": null, "nth": null, "colour": "red"});
    let slot = shop.post("/slots/acquire", &ana, &ask).await;
    assert_eq!(slot.status, 201, "{slot:?}");
    let pay = json!({
        "purchaseSlotId": slot.id(), "idempotencyKey": "k", "amount": 1, "currency": null,
        "paymentMethod": "CARD", "colour": "red"
    });
    let payment = shop.post("/payments", &ana, &pay).await;
    assert_eq!((payment.status, &payment.body["currency"]), (201, &json!("KRW")), "{payment:?}");
    for path in ["/products?status=", "/slots/my-slots?status="] {
        assert_eq!(shop.get(path, &ana).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    let before = shop.state(&product).await;
    let good = json!({"productId": product}).to_string();
    for (path, token) in [
        ("/slots/acquire", shop.buyer("ana")),
        ("/payments", shop.buyer("ana")),
        ("/products", shop.admin()),
    ] {
        let send = |media: &str, body: String| {
            let request = shop.request(Method::POST, path, Some(&token));
            Shop::hear(request.header("Content-Type", media).body(body))
        };
        for bad in [
            "",
            "{",
            "[]",
            "null",
            "\"x\"",
            "{}{}",
            "{\"productId\":1,\"productId\":2}",
            "\u{feff}{}",
        ] {
            send("application/json", bad.to_owned()).await.is(400, "validation");
        }
        send("text/plain", good.clone()).await.is(415, "unsupported-media-type");
        send("application/json", format!("{{\"x\":\"{}\"}}", "x".repeat(20_000)))
            .await
            .is(413, "payload-too-large");
    }
    let accepted = shop.request(Method::POST, "/slots/acquire", Some(&shop.buyer("ana")));
    let accepted = accepted.header("Content-Type", "Application/JSON; charset=utf-8").body(good);
    assert_eq!(Shop::hear(accepted).await.status, 201);
    assert_ne!(shop.state(&product).await, before);
}

#[tokio::test]
async fn bad_paths_methods_and_queries_are_refused() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana");
    for path in [
        "/products/x",
        "/slots/x",
        "/payments/x",
        "/nowhere",
        "/products/",
        "/slots/acquire/",
        "/",
        "/products/019aac42-887b-4000-8000-070000000000",
        "/slots/%2e%2e",
        "/products/x/waitlist/me",
    ] {
        shop.get(path, &ana).await.is(404, "not-found");
    }
    for path in [
        &format!("/products/{NOBODY}"),
        &format!("/slots/{}", NOBODY.replace("0000000000", "0000000100")),
    ] {
        shop.get(path, &ana).await.is(404, "not-found");
    }
    for (method, path, allow) in [
        (Method::PATCH, "/products", "GET, HEAD, POST"),
        (Method::GET, "/slots/acquire", "POST"),
        (Method::GET, "/payments", "POST"),
        (Method::POST, "/slots/my-slots", "GET, HEAD"),
        (Method::PUT, "/webhooks/payment", "POST"),
        (Method::DELETE, "/health", "GET, HEAD"),
        (Method::OPTIONS, "/metrics", "GET, HEAD"),
    ] {
        let heard = Shop::hear(shop.request(method, path, Some(&ana))).await;
        heard.is(405, "method-not-allowed");
        assert_eq!(heard.header("allow"), allow, "{path}");
    }
    for query in
        ["page=-1", "page=x", "size=0", "size=101", "status=open", "page=1&page=2", "status=%ff"]
    {
        shop.get(&format!("/products?{query}"), &ana).await.is(400, "validation");
    }
    shop.get("/slots/my-slots?status=SOON", &ana).await.is(400, "validation");
    let head = Shop::hear(shop.request(Method::HEAD, "/health/live", None)).await;
    assert_eq!((head.status, head.body), (200, Value::Null));
}

#[tokio::test]
async fn every_route_that_needs_a_token_asks_for_it() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    let before = shop.state(&product).await;
    let (one, slot) = (format!("/products/{product}"), format!("/slots/{product}"));
    let (pause, place) = (format!("{one}/pause"), format!("{one}/waitlist/me"));
    let buyer = shop.buyer("ana");
    let nobody = shop.token("ana", &[]);
    let expired =
        shop.sign(&json!({"sub": "ana", "exp": 1_000_000_000, "roles": ["buyer", "admin"]}));
    let stranger =
        shop.sign(&json!({"sub": "a b", "exp": 4_000_000_000_u64, "roles": ["buyer", "admin"]}));
    let tampered = format!("{}A", shop.token("ana", &["buyer", "admin"]));
    for (method, path, role) in [
        (Method::POST, "/products", "admin"),
        (Method::PUT, one.as_str(), "admin"),
        (Method::DELETE, one.as_str(), "admin"),
        (Method::POST, pause.as_str(), "admin"),
        (Method::POST, "/slots/acquire", "buyer"),
        (Method::GET, "/slots/my-slots", "any"),
        (Method::GET, slot.as_str(), "any"),
        (Method::DELETE, slot.as_str(), "any"),
        (Method::POST, "/payments", "buyer"),
        (Method::GET, "/payments/x", "any"),
        (Method::GET, place.as_str(), "buyer"),
        (Method::DELETE, place.as_str(), "buyer"),
    ] {
        let ask = |token: Option<&str>| Shop::hear(shop.request(method.clone(), path, token));
        let heard = ask(None).await;
        heard.is(401, "unauthorized");
        assert_eq!(heard.header("www-authenticate"), "Bearer");
        for bad in ["", "x", &expired, &stranger, &tampered] {
            ask(Some(bad)).await.is(401, "unauthorized");
        }
        match role {
            "admin" => ask(Some(&buyer)).await.is(403, "forbidden"),
            "buyer" => ask(Some(&nobody)).await.is(403, "forbidden"),
            _ => {}
        }
    }
    assert_eq!(shop.state(&product).await, before);
}

/// Sends bytes as they are and reads until the server closes.
async fn raw(shop: &Shop, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", shop.edge.port())).await.expect("connect");
    stream.write_all(bytes).await.expect("send");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn two_ways_to_say_where_a_body_ends_are_one_too_many() {
    let shop = Shop::open().await;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let request = format!(
            "POST /product/v1/slots/acquire HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let answer = raw(&shop, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 411 ") && answer.contains("length-required"),
            "{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "nothing smuggled: {answer}");
    }
    let huge = format!("GET /health/live HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    assert!(raw(&shop, huge.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    assert!(raw(&shop, b"nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn half_sent_requests_are_not_waited_for() {
    let redis = slot_loadtest::stack::RedisServer::builder().start().await.expect("redis");
    let shop = Shop::open_with(redis, |edge| {
        edge.argument("--header-timeout")
            .argument("300ms")
            .argument("--body-timeout")
            .argument("300ms")
    })
    .await;
    raw(&shop, b"GET /health/live HTTP/1.1\r\nHo").await;
    raw(&shop, b"").await;
    let token = shop.buyer("ana");
    let stalled = format!(
        "POST /product/v1/slots/acquire HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let answer = raw(&shop, stalled.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"), "{answer}");
}

/// A client's request, sent on a connection of its own that stays open; the start of what it hears.
async fn ask_and_stay(shop: &Shop) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", shop.edge.port())).await.expect("connect");
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("send");
    let mut heard = Vec::new();
    let whole = |heard: &[u8]| {
        let text = String::from_utf8_lossy(heard);
        text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}'))
    };
    let read = async {
        while !whole(&heard) {
            assert_ne!(stream.read_buf(&mut heard).await.expect("no reset"), 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer");
    (stream, String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test]
async fn connections_over_the_cap_are_told_to_come_back() {
    let redis = slot_loadtest::stack::RedisServer::builder().start().await.expect("redis");
    let shop =
        Shop::open_with(redis, |edge| edge.argument("--max-connections").argument("4")).await;
    let mut held = Vec::new();
    // Whoever asked whether the edge is up may still hold a connection or two.
    until("four connections are served", Duration::from_secs(10), async || {
        let (stream, heard) = ask_and_stay(&shop).await;
        if heard.starts_with("HTTP/1.1 200 ") {
            held.push(stream);
        }
        Ok((held.len() == 4).then_some(()))
    })
    .await
    .expect("served");
    for _ in 0..4 {
        let (mut stream, heard) = ask_and_stay(&shop).await;
        let (head, body) = heard.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 503 "), "{heard}");
        for line in
            ["retry-after: 1", "content-type: application/problem+json", "connection: close"]
        {
            assert!(head.contains(line), "{line} in {heard}");
        }
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert!(head.contains(&format!("x-trace-id: {}", body["traceId"].as_str().expect("one"))));
        assert!(body["type"].as_str().expect("a type").ends_with("/overloaded"), "{body}");
        assert_eq!(stream.read(&mut [0]).await.expect("no reset"), 0);
    }
    drop(held);
    let metrics = until("the edge serves again", Duration::from_secs(10), async || {
        let answer = shop.http.get(shop.url("/metrics")).send().await?;
        Ok(if answer.status() == 200 { Some(answer.text().await?) } else { None })
    })
    .await
    .expect("served");
    let refused = metrics
        .lines()
        .find_map(|line| line.strip_prefix("slot_edge_connections_refused_total "))
        .expect("the metric");
    assert!(refused.parse::<u32>().expect("a count") >= 4, "{refused}");
}

#[tokio::test]
async fn as_many_files_as_allowed_may_be_open_and_too_few_are_told() {
    let redis = slot_loadtest::stack::RedisServer::builder().start().await.expect("redis");
    let most = u32::MAX.to_string();
    let shop =
        Shop::open_with(redis, |edge| edge.argument("--max-connections").argument(most)).await;
    let pid = shop.edge.pid().expect("it runs");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let mut words = files.split_whitespace().skip(3);
    assert_eq!(words.next(), words.next(), "{files}");
    if !files.contains("unlimited") {
        until("the warning", Duration::from_secs(10), async || {
            let log = std::fs::read_to_string(shop.edge.log_file())?;
            Ok(log.contains("TOO_FEW_FILES").then_some(()))
        })
        .await
        .expect("told");
    }
}
