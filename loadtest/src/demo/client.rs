//! The edge as a buyer or an admin sees it: HTTP and JSON, nothing else. Next: buyers.rs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jsonwebtoken::{EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at most: a crowd behind one gateway, not one socket for each buyer. Who waits for a
/// connection waits on the clock: latency counts from when a request was due.
const CONNECTIONS: usize = 256;
/// How long a demo's token is good for, in seconds.
const TOKEN_TTL: u64 = 3600;

/// A client of one edge, with the means to mint its callers' tokens.
#[derive(Clone)]
pub struct Shop {
    http: reqwest::Client,
    connections: Arc<Semaphore>,
    base: String,
    key: EncodingKey,
}

/// What came back: the status, and the body where it is JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The last part of a problem's type, such as `sold-out`.
    pub(super) fn problem(&self) -> &str {
        let kind = self.body.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.rsplit(['/', ':']).next().unwrap_or_default()
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }
}

/// A slot in `GET /slots/my-slots`.
#[derive(Debug, Deserialize)]
pub(super) struct MySlot {
    pub(super) id: String,
    pub(super) status: String,
}

impl Shop {
    /// A client of the edge at `edge_url` (scheme and authority), which trusts this HS256 secret.
    ///
    /// # Errors
    /// Where the HTTP client can't be set up.
    pub fn new(edge_url: &str, jwt_secret: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .pool_max_idle_per_host(CONNECTIONS)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .context("the HTTP client could not be set up")?;
        let base = format!("{}/product/v1", edge_url.trim_end_matches('/'));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self { http, connections, base, key: EncodingKey::from_secret(jwt_secret.as_bytes()) })
    }

    /// Mints a caller's token.
    ///
    /// # Errors
    /// Where signing fails.
    pub fn token(&self, subject: &str, role: &str) -> Result<String> {
        let claims = json!({
            "sub": subject,
            "roles": [role],
            "exp": jsonwebtoken::get_current_timestamp() + TOKEN_TTL,
        });
        Ok(jsonwebtoken::encode(&Header::default(), &claims, &self.key)?)
    }

    pub(super) async fn post(&self, token: &str, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.http.post(format!("{}{path}", self.base)).bearer_auth(token).json(body))
            .await
    }

    pub(super) async fn get(&self, token: &str, path: &str) -> Result<Answer> {
        self.send(self.http.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let _connection = self.connections.acquire().await?;
        let response = request.send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    pub(super) async fn my_slots(&self, token: &str) -> Result<Vec<MySlot>> {
        let answer = self.get(token, "/slots/my-slots").await?;
        let slots = answer.body.get("slots").cloned().unwrap_or_default();
        serde_json::from_value(slots).context("GET /slots/my-slots answered something else")
    }
}
