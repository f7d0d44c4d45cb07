//! A gateway that charges nobody, for local use: it takes its time, succeeds or declines, loses webhooks and answers as
//! configured, and calls the edge's real webhook route, signed.
//!
//! What a charge comes to follows from its id alone, so asking for it twice gives the same. The stub lives and dies with
//! its process: afterwards it has never heard of a charge, and a payment that still is PENDING is charged again, to
//! the same outcome.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slot_core::ids::ChargeId;

use crate::failure::Failure;
use crate::gateway::{Call, Charge, Gateway, GatewayError, Outcome, http};
use crate::health::now_ms;
use crate::retry::Backoff;

/// A webhook that nobody takes is given up after this many tries; the persister asks by itself.
const TRIES: u32 = 5;

/// How the stub behaves; parts from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    /// How long a charge takes, in ms.
    pub latency_ms: u64,
    /// Which part succeeds.
    pub success: f64,
    /// Which part of the outcomes is never told by webhook.
    pub lost_webhook: f64,
    /// Which part gets no answer, though it takes place.
    pub timeout: f64,
}

/// What is bound to happen to a charge.
#[derive(Debug, PartialEq)]
struct Fate {
    outcome: Outcome,
    webhook_lost: bool,
    answer_lost: bool,
}

impl Odds {
    fn fate(&self, id: &ChargeId) -> Fate {
        let hash: [u8; 32] = Sha256::digest(id.to_string()).into();
        let [success, webhook, answer, name] = {
            let (chunks, _) = hash.as_chunks::<8>();
            [0, 1, 2, 3].map(|at| chunks.get(at).copied().map_or(0, u64::from_be_bytes))
        };
        let outcome = if part(success) < self.success {
            Outcome::Success { reference: format!("stub-{name:016x}") }
        } else {
            Outcome::Failed { reason: "declined by the stub".into() }
        };
        let answer_lost = part(answer) < self.timeout;
        Fate {
            outcome,
            webhook_lost: answer_lost || part(webhook) < self.lost_webhook,
            answer_lost,
        }
    }
}

/// A number from 0 to below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn part(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

/// The stub.
pub struct StubGateway {
    odds: Odds,
    webhook: Arc<Webhook>,
    /// The charges that were asked for, and when each is decided.
    asked: Mutex<HashMap<ChargeId, Instant>>,
}

impl StubGateway {
    /// A stub that calls this webhook, signing with this secret.
    ///
    /// # Errors
    /// [`Failure`] where the secret or the HTTP client won't do.
    pub fn new(odds: Odds, url: String, secret: String) -> Result<Self, Failure> {
        let key = Hmac::new_from_slice(secret.as_bytes())
            .map_err(|error| Failure::Usage(format!("the webhook's secret: {error}")))?;
        let webhook = Arc::new(Webhook { client: http::client()?, url, key });
        Ok(Self { odds, webhook, asked: Mutex::default() })
    }
}

impl Gateway for StubGateway {
    fn charge<'a>(&'a self, charge: &'a Charge) -> Call<'a, ()> {
        Box::pin(async move {
            let id = charge.id;
            let latency = Duration::from_millis(self.odds.latency_ms);
            let fate = self.odds.fate(&id);
            let new = {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                let done = Instant::now().checked_add(latency).unwrap_or_else(Instant::now);
                let new = !asked.contains_key(&id);
                asked.entry(id).or_insert(done);
                new
            };
            if new {
                let webhook = Arc::clone(&self.webhook);
                tokio::spawn(async move {
                    tokio::time::sleep(latency).await;
                    if !fate.webhook_lost {
                        webhook.tell(&id, &fate.outcome).await;
                    }
                });
            }
            if fate.answer_lost {
                tokio::time::sleep(latency).await;
                return Err(GatewayError("no answer from the stub".into()));
            }
            Ok(())
        })
    }

    fn outcome<'a>(&'a self, id: &'a ChargeId) -> Call<'a, Outcome> {
        Box::pin(async move {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(match asked.get(id) {
                None => Outcome::Unknown,
                Some(done) if *done > Instant::now() => Outcome::Pending,
                Some(_) => self.odds.fate(id).outcome,
            })
        })
    }
}

struct Webhook {
    client: reqwest::Client,
    url: String,
    key: Hmac<Sha256>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    charge_id: &'a str,
    status: &'a str,
    gateway_reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Webhook {
    async fn tell(&self, id: &ChargeId, outcome: &Outcome) {
        let id = id.to_string();
        let body = match outcome {
            Outcome::Success { reference } => Body {
                charge_id: &id,
                status: "SUCCESS",
                gateway_reference: reference,
                reason: None,
            },
            Outcome::Failed { reason } => Body {
                charge_id: &id,
                status: "FAILED",
                gateway_reference: "stub-declined",
                reason: Some(reason),
            },
            Outcome::Unknown | Outcome::Pending => return,
        };
        let Ok(body) = serde_json::to_vec(&body) else { return };
        let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(2));
        while backoff.tries() < TRIES {
            match self.post(&body).await {
                Ok(status) if status.is_success() => return,
                Ok(status) if status.is_client_error() => {
                    tracing::warn!(charge = id, %status, "the stub's webhook was refused");
                    return;
                }
                Ok(status) => tracing::debug!(charge = id, %status, "webhook not taken"),
                Err(error) => tracing::debug!(charge = id, %error, "webhook not taken"),
            }
            tokio::time::sleep(backoff.wait()).await;
        }
        tracing::warn!(charge = id, tries = TRIES, "nobody takes the stub's webhook");
    }

    async fn post(&self, body: &[u8]) -> reqwest::Result<reqwest::StatusCode> {
        let signature = sign(&self.key, now_ms() / 1000, body);
        let request = self
            .client
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("X-Signature", signature)
            .body(body.to_vec());
        Ok(request.send().await?.status())
    }
}

/// `t=<Unix seconds>,v1=<hex of HMAC-SHA256 over t "." body>`
fn sign(key: &Hmac<Sha256>, seconds: u64, body: &[u8]) -> String {
    let mac = key.clone().chain_update(seconds.to_string()).chain_update(b".").chain_update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::ids::{ChargeSeal, ProductId};
    use slot_core::units::{ArrivalNumber, AttemptNumber, UnixMillis};

    fn charge(arrival: u32) -> ChargeId {
        let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
        ChargeId {
            payment: product.slot(ArrivalNumber(arrival)).payment(AttemptNumber(1)),
            seal: ChargeSeal::parse("00ff00ff00ff00aa").unwrap(),
        }
    }

    #[test]
    fn a_charge_always_comes_to_the_same_and_the_odds_hold() {
        let odds = Odds { latency_ms: 0, success: 0.8, lost_webhook: 0.1, timeout: 0.05 };
        let mut counts = [0; 3];
        for arrival in 1..=10_000 {
            let fate = odds.fate(&charge(arrival));
            assert_eq!(fate, odds.fate(&charge(arrival)));
            counts[0] += i32::from(matches!(fate.outcome, Outcome::Success { .. }));
            counts[1] += i32::from(fate.answer_lost);
            counts[2] += i32::from(fate.webhook_lost);
        }
        assert!((7_800..8_200).contains(&counts[0]), "{counts:?}");
        assert!((400..600).contains(&counts[1]), "{counts:?}");
        assert!((1_300..1_600).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn the_signature_is_hmac_sha256_over_time_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = Hmac::new_from_slice(b"0123456789abcdef").unwrap();
        assert_eq!(
            sign(&key, 1_700_000_000, b"{}"),
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
        );
    }

    #[tokio::test]
    async fn a_charge_is_unknown_until_asked_for_then_pending_then_decided() {
        let odds = Odds { latency_ms: 200, success: 1.0, lost_webhook: 1.0, timeout: 0.0 };
        let stub = StubGateway::new(odds, "http://127.0.0.1:1/".into(), "0123456789abcdef".into())
            .unwrap();
        let ask = Charge {
            id: charge(1),
            amount_minor: 5,
            currency: "KRW".into(),
            method: "CARD".into(),
        };
        assert_eq!(stub.outcome(&ask.id).await.unwrap(), Outcome::Unknown);
        stub.charge(&ask).await.unwrap();
        assert_eq!(stub.outcome(&ask.id).await.unwrap(), Outcome::Pending);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcome = stub.outcome(&ask.id).await.unwrap();
        assert!(matches!(outcome, Outcome::Success { .. }), "{outcome:?}");
    }
}
