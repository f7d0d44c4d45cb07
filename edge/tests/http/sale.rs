//! A sale over HTTP: what the contract promises to buyers and admins.

use std::time::Duration;

use crate::shop::Shop;
use reqwest::Method;
use serde_json::json;
use slot_loadtest::stack::until;

#[tokio::test]
async fn r3_one_each_and_r1_exactly_n() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 2})).await;
    let first = shop.acquire(&product, "ana").await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.header("location"), format!("/product/v1/slots/{}", first.id()));
    assert_eq!(first.body["productName"], "Lamp");
    assert_eq!(first.body["userId"], "ana");
    assert_eq!(first.body["status"], "ACTIVE");

    let again = shop.acquire(&product, "ana").await;
    again.is(409, "duplicate-slot");
    for field in ["id", "userId", "acquisitionTimestamp", "expirationTimestamp", "createdAt"] {
        assert_eq!(again.body["slot"][field], first.body[field], "{field}");
    }

    assert_eq!(shop.acquire(&product, "ben").await.status, 201);
    shop.acquire(&product, "cem").await.is(409, "sold-out");
    let audit = shop.audit(&product).await;
    assert_eq!((audit.stock, audit.active), (0, 2));

    let read = shop.get(&format!("/slots/{}", first.id()), &shop.buyer("ana")).await;
    assert_eq!(read.body["acquisitionTimestamp"], first.body["acquisitionTimestamp"]);
    let mine = shop.get("/slots/my-slots?status=ACTIVE", &shop.buyer("ana")).await;
    assert_eq!(
        (&mine.body["totalCount"], &mine.body["slots"][0]["id"]),
        (&json!(1), &first.body["id"])
    );
    assert_eq!(
        shop.get("/slots/my-slots?status=EXPIRED", &shop.buyer("ana")).await.body["totalCount"],
        0
    );
}

#[tokio::test]
async fn a_crowd_gets_exactly_n_in_batches() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 100})).await;
    let users: Vec<String> = (0..400).map(|n| format!("user-{n}")).collect();
    let answers =
        futures_util::future::join_all(users.iter().map(|u| shop.acquire(&product, u))).await;
    let granted = answers.iter().filter(|heard| heard.status == 201).count();
    assert_eq!(granted, 100);
    for heard in answers.iter().filter(|heard| heard.status != 201) {
        heard.is(409, "sold-out");
    }
    assert_eq!(shop.audit(&product).await.active, 100);
}

#[tokio::test]
async fn r4_an_expired_slot_is_told_as_such_and_frees_its_unit() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"ttlSeconds": 0.3})).await;
    let slot = shop.acquire(&product, "ana").await;
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    let read = shop.get(&format!("/slots/{}", slot.id()), &shop.buyer("ana")).await;
    assert_eq!(read.body["status"], "EXPIRED", "{read:?}");
    assert_eq!(read.body["reclaimStatus"], "AUTO_EXPIRED");
    assert_eq!(read.body["remainingTimeSeconds"], 0);
    shop.pay(slot.id(), "ana", "k", 100).await.is(409, "slot-expired");
    assert_eq!(shop.acquire(&product, "ben").await.status, 201);
}

#[tokio::test]
async fn r6_the_waitlist_is_for_those_who_ask_to_wait() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"waitlist": 1})).await;
    let held = shop.acquire(&product, "ana").await;
    let wait = json!({"productId": product, "waitlist": true});
    let place = format!("/products/{product}/waitlist/me");
    let waiting = shop.post("/slots/acquire", &shop.buyer("ben"), &wait).await;
    assert_eq!((waiting.status, &waiting.body["position"]), (202, &json!(1)), "{waiting:?}");
    shop.post("/slots/acquire", &shop.buyer("cem"), &wait).await.is(409, "waitlist-full");
    let read = shop.get(&place, &shop.buyer("ben")).await;
    assert_eq!(read.body, json!({"position": 1, "ahead": 0}));
    shop.get(&place, &shop.buyer("cem")).await.is(404, "not-found");

    assert_eq!(shop.delete(&format!("/slots/{}", held.id()), &shop.buyer("ana")).await.status, 204);
    let promoted = shop
        .get(waiting.header("location").trim_start_matches("/product/v1"), &shop.buyer("ben"))
        .await;
    assert_eq!(promoted.body["status"], "ACTIVE", "R5: {promoted:?}");

    assert_eq!(shop.post("/slots/acquire", &shop.buyer("cem"), &wait).await.status, 202);
    assert_eq!(shop.delete(&place, &shop.buyer("cem")).await.status, 204);
    shop.delete(&place, &shop.buyer("cem")).await.is(404, "not-found");
}

#[tokio::test]
async fn every_refusal_of_an_acquire_has_its_code() {
    let shop = Shop::open().await;
    let future = shop.product(json!({"saleDate": "2099-01-01T00:00:00Z"})).await;
    let heard = shop.acquire(&future, "ana").await;
    heard.is(409, "sale-not-started");
    assert!(heard.header("retry-after").parse::<u64>().is_ok_and(|s| s > 1_000_000), "{heard:?}");

    let product = shop.product(json!({"stock": 5, "limit": 2})).await;
    let admin = shop.admin();
    let nth = |n: u32| json!({"productId": product, "nth": n});
    let ana = shop.buyer("ana");
    assert_eq!(shop.post("/slots/acquire", &ana, &nth(1)).await.status, 201);
    shop.post("/slots/acquire", &ana, &nth(1)).await.is(409, "duplicate-slot");
    assert_eq!(shop.post("/slots/acquire", &ana, &nth(2)).await.status, 201);
    shop.post("/slots/acquire", &ana, &nth(2)).await.is(409, "duplicate-slot");
    shop.post("/slots/acquire", &ana, &nth(3)).await.is(409, "limit");

    let path = |verb: &str| format!("/products/{product}/{verb}");
    assert_eq!(shop.post(&path("pause"), &admin, &json!({})).await.body["status"], "PAUSED");
    shop.acquire(&product, "ben").await.is(409, "sale-paused");
    assert_eq!(shop.post(&path("resume"), &admin, &json!({})).await.body["status"], "ON_SALE");
    assert_eq!(shop.acquire(&product, "ben").await.status, 201);
    assert_eq!(shop.post(&path("close"), &admin, &json!({})).await.body["status"], "CLOSED");
    shop.acquire(&product, "cem").await.is(409, "sale-closed");
    shop.post(&path("resume"), &admin, &json!({})).await.is(409, "sale-closed");

    let nowhere = "019aac42-887b-8000-8000-070000000000";
    shop.acquire(nowhere, "ana").await.is(404, "not-found");
}

#[tokio::test]
async fn a_slot_and_a_payment_are_their_owner_s() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    let slot = shop.acquire(&product, "ana").await;
    let payment = shop.pay(slot.id(), "ana", "k", 100).await;
    let (slot, payment) = (format!("/slots/{}", slot.id()), format!("/payments/{}", payment.id()));
    for path in [&slot, &payment] {
        assert_eq!(shop.get(path, &shop.buyer("ana")).await.status, 200);
        assert_eq!(shop.get(path, &shop.admin()).await.status, 200, "an admin may read");
        shop.get(path, &shop.buyer("ben")).await.is(403, "forbidden");
    }
    shop.delete(&slot, &shop.buyer("ben")).await.is(403, "forbidden");
    shop.delete(&slot, &shop.buyer("ana")).await.is(409, "payment-in-progress");
    shop.pay(slot.trim_start_matches("/slots/"), "ben", "k", 100).await.is(403, "forbidden");
}

#[tokio::test]
async fn r9_a_payment_s_key_makes_it_repeatable() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"price": 12.5, "currency": "EUR"})).await;
    let slot = shop.acquire(&product, "ana").await;
    let body = |key: &str, amount: f64| json!({"purchaseSlotId": slot.id(), "idempotencyKey": key, "amount": amount, "currency": "EUR", "paymentMethod": "WALLET"});
    let ana = shop.buyer("ana");
    shop.post("/payments", &ana, &body("k", 12.49)).await.is(422, "amount-mismatch");
    let first = shop.post("/payments", &ana, &body("k", 12.5)).await;
    assert_eq!((first.status, &first.body["paymentStatus"]), (201, &json!("PENDING")), "{first:?}");
    assert_eq!(first.body["amount"], 12.5);
    assert_eq!(first.header("location"), format!("/product/v1/payments/{}", first.id()));
    let again = shop.post("/payments", &ana, &body("k", 12.5)).await;
    assert_eq!((again.status, again.id()), (201, first.id()));
    let mut other = body("k", 12.5);
    other["paymentMethod"] = json!("CARD");
    shop.post("/payments", &ana, &other).await.is(422, "idempotency-mismatch");
    shop.post("/payments", &ana, &body("k2", 12.5)).await.is(409, "payment-in-progress");
}

#[tokio::test]
async fn a_product_s_key_makes_its_creation_repeatable() {
    let shop = Shop::open().await;
    let body =
        json!({"name": "Lamp", "description": "d", "stock": 3, "saleDate": "2020-01-01T00:00:00Z"});
    let create = |body: serde_json::Value, token: String| {
        let request = shop.request(Method::POST, "/products", Some(&token));
        Shop::hear(request.header("Idempotency-Key", "first").json(&body))
    };
    let (first, twin) =
        tokio::join!(create(body.clone(), shop.admin()), create(body.clone(), shop.admin()));
    assert_eq!((first.status, twin.status), (201, 201), "{first:?} {twin:?}");
    assert_eq!(first.id(), twin.id());
    let again = create(body.clone(), shop.admin()).await;
    assert_eq!((again.status, again.header("location")), (201, first.header("location")));
    let mut other = body.clone();
    other["stock"] = json!(4);
    create(other, shop.admin()).await.is(422, "idempotency-mismatch");
    // A key is one admin's own.
    let else_s = create(body, shop.token("other-boss", &["admin"])).await;
    assert_ne!(else_s.id(), first.id());
    let list = shop.get("/products", &shop.admin()).await;
    assert_eq!(list.body["totalElements"], 2);
}

#[tokio::test]
async fn a_key_claimed_before_a_crash_still_makes_its_product() {
    let shop = Shop::open().await;
    let body =
        json!({"name": "Lamp", "description": "d", "stock": 3, "saleDate": "2020-01-01T00:00:00Z"});
    let admin = shop.admin();
    let create = || {
        let request = shop.request(Method::POST, "/products", Some(&admin));
        Shop::hear(request.header("Idempotency-Key", "first").json(&body))
    };
    let first = create().await;
    // As if the edge had ended between claiming the key and making the product.
    let mut redis = shop.redis.connect().await.expect("redis");
    let key = format!("slot:{{{}}}", first.id());
    let _: i64 = redis::cmd("DEL")
        .arg(&key)
        .arg(format!("{key}:events"))
        .query_async(&mut redis)
        .await
        .expect("DEL");
    let retry = create().await;
    assert_eq!((retry.status, retry.id()), (201, first.id()), "{retry:?}");
    assert_eq!(shop.audit(first.id()).await.total, 3);
}

#[tokio::test]
async fn products_are_listed_changed_and_deleted() {
    let shop = Shop::open().await;
    let admin = shop.admin();
    let first = shop.product(json!({"name": "First", "stock": 2})).await;
    // The list's order is that of creation, to the millisecond.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let second = shop.product(json!({"name": "Second", "saleDate": "2099-01-01T00:00:00Z"})).await;
    let list = shop.get("/products?size=1&page=1", &admin).await;
    assert_eq!(list.body["products"][0]["id"], *second);
    assert_eq!((&list.body["totalElements"], &list.body["totalPages"]), (&json!(2), &json!(2)));
    let upcoming = shop.get("/products?status=UPCOMING", &admin).await;
    assert_eq!(upcoming.body["totalElements"], 1);

    let path = format!("/products/{first}");
    let changed = shop.put(&path, &admin, &json!({"name": "New", "stockIncrement": 3})).await;
    assert_eq!((&changed.body["name"], &changed.body["stock"]), (&json!("New"), &json!(5)));
    let slot = shop.acquire(&first, "ana").await;
    assert_eq!(slot.body["productName"], "New");
    shop.put(&path, &admin, &json!({"stockIncrement": -5}))
        .await
        .is(409, "product-update-conflict");
    shop.put(&path, &admin, &json!({"saleDate": "2098-01-01T00:00:00Z"}))
        .await
        .is(409, "product-update-conflict");
    shop.delete(&path, &admin).await.is(409, "product-delete-conflict");
    assert_eq!(
        shop.delete(&format!("/slots/{}", slot.id()), &admin).await.status,
        204,
        "reclaimed"
    );
    assert_eq!(shop.delete(&path, &admin).await.status, 204);
    shop.get(&path, &admin).await.is(404, "not-found");
    shop.acquire(&first, "ana").await.is(404, "not-found");
    assert_eq!(shop.get("/products", &admin).await.body["totalElements"], 1);
}

#[tokio::test]
async fn the_list_is_at_most_a_second_behind_other_edges() {
    let shop = Shop::open().await;
    let product = shop.product(json!({"stock": 2})).await;
    let beside = slot_loadtest::stack::Edge::builder()
        .secrets(shop.edge.secrets())
        .start(&shop.redis.url())
        .await
        .expect("a second edge");
    assert_eq!(shop.acquire(&product, "ana").await.status, 201);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let url = format!("{}/product/v1/products/{product}", beside.url());
    let seen = Shop::hear(shop.http.get(url)).await;
    assert_eq!((&seen.body["stock"], &seen.body["active"]), (&json!(1), &json!(1)), "{seen:?}");
}

#[tokio::test]
async fn a_trace_id_is_echoed_and_reaches_the_event() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    let ask = |trace: &'static str| {
        let request = shop.request(Method::POST, "/slots/acquire", Some(&shop.buyer("ana")));
        Shop::hear(request.header("X-Trace-ID", trace).json(&json!({"productId": product})))
    };
    assert_eq!(ask("Order-7.a_b").await.header("x-trace-id"), "Order-7.a_b");
    let mut redis = shop.redis.connect().await.expect("redis");
    let events: String = redis::cmd("XREVRANGE")
        .arg(format!("slot:{{{product}}}:events"))
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(1)
        .query_async::<redis::Value>(&mut redis)
        .await
        .map(|value| format!("{value:?}"))
        .expect("the stream");
    assert!(events.contains("SLOT_ACQUIRED") && events.contains("Order-7.a_b"), "{events}");
    for bad in ["", "a b", "{\"x\":1}", "é"] {
        let made = ask(bad).await.header("x-trace-id").to_owned();
        assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{bad:?} {made}");
    }
    // Everywhere, also where nothing is.
    let nowhere = Shop::hear(shop.http.get(shop.url("/nowhere")).header("X-Trace-ID", "t")).await;
    nowhere.is(404, "not-found");
    assert_eq!(nowhere.header("x-trace-id"), "t");
}

#[tokio::test]
async fn health_metrics_contract_and_log_are_there() {
    let shop = Shop::open().await;
    let product = shop.product(json!({})).await;
    shop.acquire(&product, "ana").await;
    let health = shop.get("/health", "").await;
    assert_eq!(
        (health.status, &health.body["status"]),
        (200, &json!("DEGRADED")),
        "no persister runs"
    );
    let mut redis = shop.redis.connect().await.expect("redis");
    for (database, kafka, status) in
        [("UP", "DOWN", "DEGRADED"), ("UP", "NOT_USED", "UP"), ("UP", "UP", "UP")]
    {
        let report = json!({"database": database, "kafka": kafka, "at": 1}).to_string();
        let mut set = redis::cmd("SET");
        let _: () =
            set.arg("slot:health:0").arg(report).query_async(&mut redis).await.expect("SET");
        let health = shop.get("/health", "").await;
        assert_eq!(health.body["status"], status, "{health:?}");
        assert_eq!(health.body["components"]["kafka"]["status"], kafka, "{health:?}");
    }
    let text = async |path: &str| {
        let answer =
            shop.http.get(format!("{}{path}", shop.edge.url())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("a text")
    };
    assert_eq!(text("/health/live").await, r#"{"status":"UP"}"#);
    assert_eq!(text("/health/ready").await, r#"{"status":"UP"}"#);
    assert!(text("/openapi.yaml").await.starts_with("openapi: 3.0.3"));
    let metrics = text("/metrics").await;
    for line in [
        r#"slot_edge_requests_total{method="POST",outcome="acquired",route="/slots/acquire",status="201"} 1"#,
        "slot_edge_batch_size_count 1",
        r#"slot_edge_breaker_state{worker="0"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(metrics.contains(&format!("slot_sale_active{{product=\"{product}\"}}")));
    // The log is written by a thread of its own.
    let log = until("the log lines", Duration::from_secs(10), async || {
        let log = std::fs::read_to_string(shop.edge.log_file())?;
        let all = log.contains("SLOT_REQUESTED") && log.contains("SLOT_ACQUIRED");
        Ok((all && log.ends_with('\n')).then_some(log))
    })
    .await
    .expect("the log");
    for line in log.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).expect("every line is JSON");
    }
    assert!(!log.contains("eyJ"), "no token in the log");
}
