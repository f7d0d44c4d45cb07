//! A Redis with the module, an edge in front of it, and someone who talks to both: what the tests of the edge
//! stand on.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use slot_core::ids::{PaymentId, ProductId};
use slot_core::wire::{AuditView, GetReply, Wire};
use slot_loadtest::stack::{Durability, Edge, EdgeBuilder, RedisServer};

pub(crate) struct Shop {
    pub(crate) redis: RedisServer,
    pub(crate) edge: Edge,
    pub(crate) http: Client,
    jwt_secret: String,
    webhook_secret: String,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Heard {
    /// The problem's code: what its type ends in.
    pub(crate) fn code(&self) -> &str {
        let kind = self.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("");
        assert_eq!(kind, "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["traceId"], *self.header("x-trace-id"), "{self:?}");
        assert!(self.body["detail"].as_str().is_some_and(|d| !d.is_empty()), "{self:?}");
        self.body["type"].as_str().and_then(|t| t.rsplit('/').next()).expect("a type")
    }

    /// Status and code at once.
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("an id in {self:?}"))
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(RedisServer::builder().start().await.expect("redis"), |edge| edge).await
    }

    pub(crate) async fn open_with(
        redis: RedisServer,
        change: impl FnOnce(EdgeBuilder) -> EdgeBuilder,
    ) -> Self {
        let builder = Edge::builder().workers(2).durability(Durability::Memory);
        let edge = change(builder).start(&redis.url()).await.expect("edge");
        let jwt_secret = edge.secrets().jwt().expect("secret");
        let webhook_secret = edge.secrets().webhook().expect("secret");
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20));
        Self { redis, edge, http: http.build().expect("client"), jwt_secret, webhook_secret }
    }

    pub(crate) fn token(&self, user: &str, roles: &[&str]) -> String {
        self.sign(&json!({"sub": user, "exp": 4_000_000_000_u64, "roles": roles}))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let key = EncodingKey::from_secret(self.jwt_secret.as_bytes());
        encode(&Header::default(), claims, &key).expect("a token")
    }

    pub(crate) fn buyer(&self, user: &str) -> String {
        self.token(user, &["buyer"])
    }

    pub(crate) fn admin(&self) -> String {
        self.token("boss", &["admin"])
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/product/v1{path}", self.edge.url())
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
    ) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn hear(request: RequestBuilder) -> Heard {
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Heard { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Heard {
        Self::hear(self.request(Method::GET, path, Some(token))).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Heard {
        Self::hear(self.request(Method::DELETE, path, Some(token))).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Heard {
        Self::hear(self.request(Method::POST, path, Some(token)).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: &Value) -> Heard {
        Self::hear(self.request(Method::PUT, path, Some(token)).json(body)).await
    }

    /// Puts a product on sale; `options` go on top of the least that a product needs.
    pub(crate) async fn product(&self, options: Value) -> String {
        let mut body = json!({
            "name": "Lamp", "description": "It glows", "stock": 1, "saleDate": "2020-01-01T00:00:00Z"
        });
        let into = body.as_object_mut().expect("an object");
        into.extend(options.as_object().expect("an object").clone());
        let heard = self.post("/products", &self.admin(), &body).await;
        assert_eq!(heard.status, 201, "{heard:?}");
        heard.id().to_owned()
    }

    pub(crate) async fn acquire(&self, product: &str, user: &str) -> Heard {
        self.post("/slots/acquire", &self.buyer(user), &json!({"productId": product})).await
    }

    pub(crate) async fn pay(&self, slot: &str, user: &str, key: &str, amount: u32) -> Heard {
        let body = json!({
            "purchaseSlotId": slot, "idempotencyKey": key, "amount": amount, "paymentMethod": "CARD"
        });
        self.post("/payments", &self.buyer(user), &body).await
    }

    /// The charge of a payment, which only the gateway gets to see.
    pub(crate) async fn charge(&self, payment: &str) -> String {
        let id = PaymentId::parse(payment).expect("a payment's id");
        let reply: GetReply =
            self.ask(redis::cmd("SLOT.GET").arg(id.slot.product.sale_key()).arg(payment)).await;
        match reply {
            GetReply::Payment(payment) => payment.charge.to_string(),
            GetReply::Slot(slot) => panic!("a payment, not {slot:?}"),
        }
    }

    pub(crate) async fn ask<T: Wire>(&self, command: &redis::Cmd) -> T {
        let mut redis = self.redis.connect().await.expect("redis");
        let value: redis::Value = command.query_async(&mut redis).await.expect("a reply");
        T::from_value(value.into()).expect("the contract's shape")
    }

    pub(crate) async fn audit(&self, product: &str) -> AuditView {
        let key = ProductId::parse(product).expect("an id").sale_key();
        let audit: AuditView = self.ask(redis::cmd("SLOT.AUDIT").arg(key)).await;
        assert_eq!(audit.violations, Vec::<String>::new());
        audit
    }

    /// All that a request could have changed: the keys, and the sale to the bit.
    pub(crate) async fn state(&self, product: &str) -> (i64, String) {
        let mut redis = self.redis.connect().await.expect("redis");
        let keys: i64 = redis::cmd("DBSIZE").query_async(&mut redis).await.expect("DBSIZE");
        (keys, self.audit(product).await.digest)
    }

    /// What the gateway says, signed now.
    pub(crate) async fn webhook(&self, word: &Value) -> Heard {
        let body = word.to_string();
        self.webhook_signed(&body, &self.webhook_signature(now(), &body)).await
    }

    pub(crate) async fn webhook_signed(&self, body: &str, signature: &str) -> Heard {
        let request = self.http.post(self.edge.webhook_url()).header("X-Signature", signature);
        Self::hear(request.header("Content-Type", "application/json").body(body.to_owned())).await
    }

    pub(crate) fn webhook_signature(&self, time: u64, body: &str) -> String {
        signature(self.webhook_secret.as_bytes(), time, body)
    }
}

pub(crate) fn signature(secret: &[u8], time: u64, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    let mac = mac.chain_update(format!("{time}.{body}"));
    format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
