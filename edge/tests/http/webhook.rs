//! The gateway's word (T13): exactly one outcome per payment, whatever is sent how often; forged is never accepted.

use crate::shop::{Shop, now, signature};
use serde_json::{Value, json};

async fn paying(shop: &Shop) -> (String, String, String) {
    let product = shop.product(json!({})).await;
    let slot = shop.acquire(&product, "ana").await.id().to_owned();
    let payment = shop.pay(&slot, "ana", "k", 100).await;
    assert_eq!(payment.status, 201, "{payment:?}");
    (product, slot, payment.id().to_owned())
}

fn success(charge: &str) -> Value {
    json!({"chargeId": charge, "status": "SUCCESS", "gatewayReference": "gw-1", "feeNobodyAskedFor": 3})
}

#[tokio::test]
async fn a_success_completes_the_slot_once() {
    let shop = Shop::open().await;
    let (product, slot, payment) = paying(&shop).await;
    let charge = shop.charge(&payment).await;
    let heard = shop.webhook(&success(&charge)).await;
    assert_eq!((heard.status, &heard.body["outcome"]), (200, &json!("SUCCESS")), "{heard:?}");
    let after = shop.state(&product).await;
    // The same again, and a contradiction: nothing changes.
    assert_eq!(shop.webhook(&success(&charge)).await.body["outcome"], "SUCCESS");
    let failed = json!({"chargeId": charge, "status": "FAILED", "reason": "no money"});
    assert_eq!(shop.webhook(&failed).await.body["outcome"], "SUCCESS");
    assert_eq!(shop.state(&product).await, after);

    let ana = shop.buyer("ana");
    let paid = shop.get(&format!("/payments/{payment}"), &ana).await;
    assert_eq!(
        (&paid.body["paymentStatus"], &paid.body["paymentId"]),
        (&json!("SUCCESS"), &json!("gw-1"))
    );
    assert!(paid.body["confirmationTimestamp"].is_string());
    assert_eq!(shop.get(&format!("/slots/{slot}"), &ana).await.body["status"], "COMPLETED");
    shop.pay(&slot, "ana", "k2", 100).await.is(409, "slot-already-completed");
    shop.delete(&format!("/slots/{slot}"), &ana).await.is(409, "slot-already-completed");
}

#[tokio::test]
async fn a_failure_gives_the_slot_back_its_time_and_a_late_success_still_counts() {
    let shop = Shop::open().await;
    let (_, slot, payment) = paying(&shop).await;
    let charge = shop.charge(&payment).await;
    let failed = json!({"chargeId": charge, "status": "FAILED", "reason": "no money"});
    assert_eq!(shop.webhook(&failed).await.body["outcome"], "FAILED");
    let read = shop.get(&format!("/payments/{payment}"), &shop.buyer("ana")).await;
    assert_eq!(
        (&read.body["paymentStatus"], &read.body["failureReason"]),
        (&json!("FAILED"), &json!("no money"))
    );
    assert_eq!(
        shop.get(&format!("/slots/{slot}"), &shop.buyer("ana")).await.body["status"],
        "ACTIVE"
    );
    assert_eq!(shop.webhook(&success(&charge)).await.body["outcome"], "SUCCESS", "R8");
}

#[tokio::test]
async fn forged_stale_and_tampered_words_change_nothing() {
    let shop = Shop::open().await;
    let (product, _, payment) = paying(&shop).await;
    let charge = shop.charge(&payment).await;
    let body = success(&charge).to_string();
    let before = shop.state(&product).await;
    let good = shop.webhook_signature(now(), &body);
    for (what, body, signed) in [
        ("no signature", body.clone(), String::new()),
        ("another secret", body.clone(), signature(b"not the gateway's secret", now(), &body)),
        ("stale", body.clone(), shop.webhook_signature(now() - 301, &body)),
        ("from the future", body.clone(), shop.webhook_signature(now() + 310, &body)),
        ("another body", body.replace("gw-1", "gw-2"), good.clone()),
        ("another time", body.clone(), good.replacen("t=1", "t=2", 1)),
        ("cut short", body.clone(), good[..good.len() - 2].to_owned()),
        ("another version", body.clone(), good.replace("v1=", "v2=")),
    ] {
        let heard = shop.webhook_signed(&body, &signed).await;
        assert_eq!((heard.status, heard.code()), (401, "unauthorized"), "{what}");
    }
    assert_eq!(shop.state(&product).await, before);
    // The buyer's token is no signature.
    shop.post("/webhooks/payment", &shop.buyer("ana"), &success(&charge))
        .await
        .is(401, "unauthorized");
    assert_eq!(shop.webhook_signed(&body, &good).await.status, 200);
}

#[tokio::test]
async fn money_for_an_unknown_charge_is_due_back_and_never_pays_another_s_slot() {
    let shop = Shop::open().await;
    let (product, slot, payment) = paying(&shop).await;
    let real = shop.charge(&payment).await;
    let unknown = format!("{}.{}", payment, "0123456789abcdef");
    assert_ne!(real, unknown);
    let heard = shop.webhook(&success(&unknown)).await;
    assert_eq!((heard.status, &heard.body["outcome"]), (200, &json!("REFUND_DUE")), "{heard:?}");
    assert_eq!(shop.audit(&product).await.refunds, 1);
    assert_eq!(
        shop.get(&format!("/slots/{slot}"), &shop.buyer("ana")).await.body["status"],
        "ACTIVE"
    );

    let nowhere = "019aac42-887b-8000-8000-070000000101.0123456789abcdef";
    shop.webhook(&success(nowhere)).await.is(404, "not-found");
    let failed = json!({"chargeId": unknown.replace("cdef", "cdee"), "status": "FAILED"});
    shop.webhook(&failed).await.is(404, "not-found");
}

#[tokio::test]
async fn a_signed_word_that_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    let (product, _, payment) = paying(&shop).await;
    let charge = shop.charge(&payment).await;
    let before = shop.state(&product).await;
    for word in [
        json!({}),
        json!([]),
        json!({"chargeId": charge}),
        json!({"chargeId": charge, "status": "MAYBE"}),
        json!({"chargeId": charge, "status": "SUCCESS", "gatewayReference": 7}),
        json!({"chargeId": payment, "status": "FAILED"}),
        json!({"chargeId": 7, "status": "FAILED"}),
    ] {
        let heard = shop.webhook(&word).await;
        assert_eq!((heard.status, heard.code()), (400, "validation"), "{word}");
    }
    assert_eq!(shop.state(&product).await, before);
}

#[tokio::test]
async fn money_is_taken_in_however_its_reference_looks() {
    let shop = Shop::open().await;
    for (reference, kept) in [
        (json!("x".repeat(5_000)), Some("x".repeat(255))),
        (json!("a\n\u{0}b"), Some("ab".to_owned())),
        (json!(""), None),
        (Value::Null, None),
    ] {
        let (_, _, payment) = paying(&shop).await;
        let charge = shop.charge(&payment).await;
        let word = json!({"chargeId": charge, "status": "SUCCESS", "gatewayReference": reference});
        let heard = shop.webhook(&word).await;
        assert_eq!((heard.status, &heard.body["outcome"]), (200, &json!("SUCCESS")), "{heard:?}");
        let paid = shop.get(&format!("/payments/{payment}"), &shop.buyer("ana")).await;
        assert_eq!(paid.body["paymentId"], kept.unwrap_or(charge), "{paid:?}");
    }
}
