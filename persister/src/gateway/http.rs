//! A gateway over HTTP, in a small contract of our own; an adapter in front of a real gateway speaks it.
//!
//! `POST <url>/charges` {chargeId, amountMinor, currency, method, webhookUrl} with the header Idempotency-Key: any 2xx.
//! `GET <url>/charges/<charge id>`: 404, or {status: PENDING|SUCCESS|FAILED, gatewayReference?, reason?}.

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use slot_core::ids::ChargeId;

use crate::failure::Failure;
use crate::gateway::{Call, Charge, Gateway, GatewayError, Outcome};

const TIMEOUT: Duration = Duration::from_secs(10);

impl From<reqwest::Error> for GatewayError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

/// A client with deadlines.
///
/// # Errors
/// [`Failure::Unavailable`] where none can be made.
pub fn client() -> Result<Client, Failure> {
    Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| Failure::Unavailable(format!("no HTTP client: {error}")))
}

/// A gateway over HTTP.
pub struct HttpGateway {
    client: Client,
    charges: String,
    webhook: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChargeBody<'a> {
    charge_id: &'a str,
    amount_minor: i64,
    currency: &'a str,
    method: &'a str,
    webhook_url: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeBody {
    status: String,
    gateway_reference: Option<String>,
    reason: Option<String>,
}

impl HttpGateway {
    /// The gateway at this base URL, which reports to this webhook.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] where no HTTP client can be made.
    pub fn new(url: &str, webhook: String) -> Result<Self, Failure> {
        let charges = format!("{}/charges", url.trim_end_matches('/'));
        Ok(Self { client: client()?, charges, webhook })
    }
}

impl Gateway for HttpGateway {
    fn charge<'a>(&'a self, charge: &'a Charge) -> Call<'a, ()> {
        Box::pin(async move {
            let id = charge.id.to_string();
            let body = ChargeBody {
                charge_id: &id,
                amount_minor: charge.amount_minor,
                currency: &charge.currency,
                method: &charge.method,
                webhook_url: &self.webhook,
            };
            let request = self.client.post(&self.charges).header("Idempotency-Key", &id);
            request.json(&body).send().await?.error_for_status()?;
            Ok(())
        })
    }

    fn outcome<'a>(&'a self, id: &'a ChargeId) -> Call<'a, Outcome> {
        Box::pin(async move {
            let response = self.client.get(format!("{}/{id}", self.charges)).send().await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(Outcome::Unknown);
            }
            let body: OutcomeBody = response.error_for_status()?.json().await?;
            match (body.status.as_str(), body.gateway_reference) {
                ("PENDING", _) => Ok(Outcome::Pending),
                ("SUCCESS", Some(reference)) => Ok(Outcome::Success { reference }),
                ("FAILED", _) => {
                    Ok(Outcome::Failed { reason: body.reason.unwrap_or_else(|| "declined".into()) })
                }
                (status, _) => Err(GatewayError(format!("answered status {status:?} for {id}"))),
            }
        })
    }
}
